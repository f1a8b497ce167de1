"""The baseline: a file of findings that are known and let pass, so that only new ones fail.

Known by what they say, not by line number: an edit elsewhere in the file does not bring them back.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding

SCHEMA = 1


def read(args: Namespace) -> frozenset[str]:
    """The fingerprints in the baseline that was named; none if it is to be written now, or there is none."""
    if args.baseline is None:
        if args.update_baseline:
            raise GradscopeError("--update-baseline needs --baseline FILE")
        return frozenset()
    path = Path(args.baseline).absolute()
    args.baseline = path
    if args.update_baseline:
        return frozenset()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(entry["fingerprint"] for entry in content["findings"])
    except FileNotFoundError:
        raise GradscopeError(f"no baseline {path.name}: --update-baseline writes it") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GradscopeError(f"{path.name} is not a baseline of gradscope ({type(error).__name__}: {error})") from None


def write(path: Path, findings: Iterable[Finding]) -> None:
    """Write a baseline that lets these findings pass, in an order that makes a small diff."""
    from gradscope.render.sarif import fingerprint

    entries = [
        {
            "fingerprint": fingerprint(finding),
            "code": finding.code,
            "model": finding.model,
            "cause": finding.cause,
            "location": str(finding.location or ""),
        }
        for finding in findings
    ]
    entries.sort(key=lambda entry: (entry["code"], entry["model"], entry["fingerprint"]))
    path.write_text(json.dumps({"schema": SCHEMA, "findings": entries}, indent=1) + "\n", encoding="utf-8")
