"""Runs the scripts of tests/cases under `gradscope run`, each in a fresh fork of one process that knows torch already.

Starting Python and importing torch takes far longer than a case trains. So a server, itself a process of its own and
free of what pytest did to this one (threads, warning filters, imported modules), imports both once and forks for
each script: `python tests/case_runner.py` reads requests from stdin, one JSON object a line, and answers likewise.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NoReturn

CASES = Path(__file__).parent / "cases"
TIMEOUT = 120.0
"""Seconds for one script; the longest takes a few, on an idle machine."""

POLL = 0.005

PRELOADED = (
    "numpy",
    "torch",
    "torch._dynamo",  # what building the first optimizer imports, in seconds
    "torch.distributions",
    "torch.utils.checkpoint",
    "torch.utils.data",
    "gradscope.cli.main",
    "gradscope.diagnosis",
    "gradscope.render.json",
    "gradscope.scope",
    "gradscope.session",
)
LOUD = ("error", "warning")
POSITIONAL = ("weight", "bias")
"""Last parts of a name that say little without the one before; so do bare numbers."""

Finding = dict[str, Any]


class Server:
    """The forking process: started when made, ended by `close`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )

    def findings(self, case: Path, script: str, facts: Path | None = None) -> list[Finding]:
        """What `gradscope run` finds in one script of a case, which it sees without the answer beside it.

        The facts are kept in the run file `facts`, if one is named.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "work")
            folder.mkdir()
            for source in case.glob("*.py"):
                shutil.copy(source, folder)
            request = {"folder": str(folder), "script": script, "report": str(Path(scratch, "report.json"))}
            if facts is not None:
                request["facts"] = str(facts)
            print(json.dumps(request), file=self._process.stdin, flush=True)
            answer = json.loads(self._process.stdout.readline() or '"the server is gone"')
            output = Path(scratch, "output.txt")
            said = output.read_text(encoding="utf-8", errors="replace")[-2000:] if output.exists() else ""
            assert answer == "ran", f"{case.name}/{script}: {answer}\n{said}"
            assert Path(request["report"]).exists(), f"{case.name}/{script} left no report\n{said}"
            found: list[Finding] = json.loads(Path(request["report"]).read_text(encoding="utf-8"))["findings"]
            return found

    def close(self) -> None:
        """End the server: it stops when nobody can ask any more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)


@dataclass(frozen=True)
class Truth:
    """What is known about a case: its `case.json`."""

    id: str
    healthy: bool
    broken: tuple[str, ...]
    cause: str
    culprits: tuple[tuple[str, int], ...]
    has_fixed: bool

    @classmethod
    def read(cls, case: Path) -> Truth:
        known = json.loads((case / "case.json").read_text(encoding="utf-8"))
        culprit = [known["culprit"]] if known["culprit"] else []
        return cls(
            id=known["id"],
            healthy=known["kind"] == "healthy",
            broken=tuple(known["broken"]),
            cause=known["cause"],
            culprits=tuple((PurePath(c["file"]).name, c["line"]) for c in [*culprit, *known["accept"] * bool(culprit)]),
            has_fixed=known["has_fixed"],
        )


def misses(truth: Truth, said: list[Finding]) -> set[str]:
    """Of `found`, `line`, `cause` and `silent`, what the findings on `train.py` do not get right."""
    loud = [f for f in said if f["severity"] in LOUD]
    if truth.healthy:
        return {"silent"} if loud else set()
    missed = set()
    about = [f for f in loud if any(names(f, b) for b in truth.broken)]
    if not truth.broken or not all(any(names(f, b) for f in loud) for b in truth.broken):
        missed.add("found")
    if truth.culprits and not (about and points_at(about[0], truth.culprits)):
        missed.add("line")
    if not about or about[0]["cause"] != truth.cause:
        missed.add("cause")
    return missed


def names(finding: Finding, expression: str) -> bool:
    """Whether a finding speaks of `critic`, `agent.actor` or `readout.weight`, by whatever path it got there."""
    wanted = _parts(expression)
    vague = wanted[-1] in POSITIONAL or wanted[-1].isdigit()
    needle = wanted[-2:] if vague else wanted[-1:]
    for parameter in finding["parameters"] or [""]:
        said = _parts(finding["model"] or "") + _parts(parameter)
        if any(said[i : i + len(needle)] == needle for i in range(len(said))):
            return True
    return False


def points_at(finding: Finding, culprits: tuple[tuple[str, int], ...]) -> bool:
    """Whether a finding's location is one of the lines that are fairly to blame."""
    place = finding["location"] or {}
    return (PurePath(place.get("file") or "").name, place.get("line")) in culprits


def shown(said: list[Finding]) -> str:
    """The findings, one a line, for the message of a failed test."""
    lines = []
    for f in said:
        place = f["location"] or {}
        lines.append(
            f"  {f['severity']} {f['code']} {f['model']} {f['cause']} {place.get('file')}:{place.get('line')} "
            f"{f['parameters'][:3]} {f['message']}"
        )
    return "\n".join(lines) or "  nothing"


def _parts(path: str) -> list[str]:
    bare = path.replace("[", ".").replace("]", "").replace("'", "").replace('"', "")
    return [part for part in bare.split(".") if part]


# --- the server's side -------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests until stdin ends."""
    for module in PRELOADED:
        importlib.import_module(module)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    gc.freeze()  # what is imported is never garbage: a child that collects need not touch, and so copy, it all

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    for line in requests:
        request = json.loads(line)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _run_in_child(**request)
        print(json.dumps(_await(pid)), file=answers, flush=True)


def _run_in_child(folder: str, script: str, report: str, facts: str | None = None) -> NoReturn:
    """Be `gradscope run --json REPORT [--out FACTS] SCRIPT` in that folder, and never come back."""
    try:
        os.setsid()  # so that what the script starts can be ended with it
        os.chdir(folder)
        output = os.open(Path(report).with_name("output.txt"), os.O_CREAT | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        from gradscope.cli.main import main

        main(["run", "--quiet", "--json", report, *(["--out", facts] if facts else []), script])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - the server's loop must not go on in the child
        traceback.print_exc()
    finally:
        os._exit(0)


def _await(pid: int) -> str:
    """Wait for a child; what became of it."""
    limit = time.monotonic() + TIMEOUT
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > limit:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"no end in {TIMEOUT:.0f} s"
        time.sleep(POLL)
    return "ran"


if __name__ == "__main__":
    serve()
