"""What one rank says of itself: a few numbers per parameter, packed as columns.

* About 30 bytes a parameter before compression: a rank of thousands can send it over the store of the process group.
* Numbers and names only; decoding checks sizes, so that a damaged message is an error and not a wrong report.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gradscope.diagnosis import diagnose
from gradscope.diagnosis.elsewhere import tell
from gradscope.records import Location, OptimizerStep, Origin, Run, Tally, Write
from gradscope.records.ranks import Lack, Told
from gradscope.records.uses import uses
from gradscope.runfile.codec import coder

INTS = (
    "received",
    "missed",
    "zero",
    "measured",
    "nonfinite",
    "parts",
    "applied_at",
    "bad_at",
    "since",
    "numel",
    "written",
    "lost",
    "used",
)
FLOATS = ("local", "applied")
NAN = float("nan")
UNKNOWN_STEP = 2**31 - 2
"""Of a NaN or Inf of which it was not kept when it came first: later than any."""
FOUND = 8
"""Findings of its own that a rank tells, worst first."""
LIMIT = 256 * 2**20
"""Bytes of one message, unpacked."""
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Summary:
    """One rank. `ints` and `floats` hold a column per name, each as long as `names`; NaN means not measured."""

    rank: int
    world: int
    names: tuple[str, ...]
    ints: Mapping[str, array[int]]
    floats: Mapping[str, array[float]]
    host: str = ""
    steps: int = 0
    backwards: int = 0
    missing: str = ""
    """Why these facts are not all there are."""
    origin: Origin | None = None
    """Where its first NaN or Inf began, if that was seen."""
    lacks: tuple[Lack, ...] = ()
    """Why parameters get no gradient; the column `lost` counts them from 1."""
    found: tuple[Told, ...] = ()
    """Errors and warnings about its own facts; none of a rank that did not come to its end."""
    stage: bool = False
    """It trains one stage of a pipeline."""
    uses: tuple[Location, ...] = ()
    """The lines that compute with parameters; the column `used` counts them from 1."""


def summarize(
    run: Run,
    rank: int,
    world: int,
    *,
    host: str = "",
    missing: str = "",
) -> Summary:
    """Sum up the facts of one rank."""
    named = {p.name: uid for uid, p in run.parameters.items() if p.owners and (p.trainable or uid in run.tallies)}
    empty = Tally()
    applied, at = _applied(run)
    begun = min((e.clock for e in run.events if isinstance(e, OptimizerStep)), default=0)
    writes = (e for e in run.events if isinstance(e, Write) and e.what == "value" and e.clock > begun)
    written = {uid for e in writes for uid in e.parameters}  # not those that load or initialise before training
    lost = _lost(run, named.values())
    lacks = tuple(dict.fromkeys(lost.values()))
    at_lines = uses(run)
    lines = {line: number for number, line in enumerate(dict.fromkeys(at_lines.values()), 1)}
    ints: dict[str, array[int]] = {name: array("i") for name in INTS}
    floats: dict[str, array[float]] = {name: array("f") for name in FLOATS}
    for uid in named.values():
        tally = run.tallies.get(uid, empty)
        split, zeros = run.parts.get(uid, (1, 0))
        ints["received"].append(tally.backwards)
        ints["missed"].append(tally.steps_none)
        ints["zero"].append(tally.zero + zeros)
        ints["measured"].append(tally.measured + zeros)
        ints["nonfinite"].append(tally.nonfinite)
        ints["parts"].append(split)
        ints["applied_at"].append(at.get(uid, -1))
        known = tally.first_nonfinite_step
        ints["bad_at"].append(known if known is not None else UNKNOWN_STEP if tally.nonfinite else -1)
        ints["since"].append(-1 if tally.last_backward is None else run.backwards - 1 - tally.last_backward)
        ints["numel"].append(min(run.parameters[uid].numel, UNKNOWN_STEP))
        ints["written"].append(uid in written)
        ints["lost"].append(lacks.index(lost[uid]) + 1 if uid in lost else 0)
        ints["used"].append(lines[at_lines[uid]] if uid in at_lines and tally.backwards else 0)
        last = tally.norm_last
        if last is None and zeros:
            last = 0.0
        floats["local"].append(NAN if last is None else last)
        norm = applied.get(uid)
        floats["applied"].append(NAN if norm is None else norm)
    return Summary(
        rank, world, tuple(named), ints, floats, host, run.steps, run.backwards, missing, _origin(run), lacks,
        () if missing else tell(diagnose(run))[:FOUND], run.stage, tuple(lines),
    )  # fmt: skip


def _lost(run: Run, uids: Iterable[int]) -> dict[int, Lack]:
    """Of parameters that never received a gradient, why: the likeliest cut, or the line that froze them."""
    lacking = {uid for uid in uids if not run.tallies.get(uid, Tally()).backwards}
    found: dict[int, Lack] = {}
    for cut in run.cuts:
        lack = Lack(cut.cause, cut.path[-1] if cut.path else None)
        found |= dict.fromkeys(lacking.intersection(cut.parameters).difference(found), lack)
    for uid in lacking:
        parameter = run.parameters[uid]
        if not parameter.trainable and parameter.frozen_at:
            found[uid] = Lack("requires_grad_false", parameter.frozen_at[-1])
        elif uid in run.never_used:
            found[uid] = Lack("unused_module")
    return found


def _origin(run: Run) -> Origin | None:
    found = [origin for origin in run.origins if origin.kind in ("nan", "inf") and origin.path]
    first = min(found, key=lambda origin: origin.backward, default=None)
    return replace(first, parameters=frozenset()) if first is not None else None


def _applied(run: Run) -> tuple[dict[int, float], dict[int, int]]:
    """Per parameter the last norm that its optimizer was given, and at which step of the optimizers."""
    norms: dict[int, float] = {}
    at: dict[int, int] = {}
    for event in run.events:
        if isinstance(event, OptimizerStep) and event.ratios:  # the others repeat what arrived
            for uid, norm in event.norms.items():
                if norm is not None:
                    norms[uid], at[uid] = norm, event.index
    return norms, at


def encode(summary: Summary) -> bytes:
    """The summary as bytes."""
    head = {
        "rank": summary.rank,
        "world": summary.world,
        "names": summary.names,
        "host": summary.host,
        "steps": summary.steps,
        "backwards": summary.backwards,
        "missing": summary.missing,
        "origin": coder(Origin).encode(summary.origin) if summary.origin is not None else None,
        "lacks": [coder(Lack).encode(lack) for lack in summary.lacks],
        "stage": summary.stage,
        "uses": [coder(Location).encode(line) for line in summary.uses],
        "found": [coder(Told).encode(told) for told in summary.found],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    columns: list[array[int] | array[float]] = [
        *(summary.ints[name] for name in INTS),
        *(summary.floats[name] for name in FLOATS),
    ]
    packed = b"".join([_LENGTH.pack(len(text)), text, *(column.tobytes() for column in columns)])
    return zlib.compress(packed, 1)


def decode(body: bytes) -> Summary:
    """The summary from bytes. Raises ValueError where they are not whole."""
    try:
        packed = zlib.decompressobj().decompress(body, LIMIT)
        end = _LENGTH.size + _LENGTH.unpack_from(packed)[0]
        head = json.loads(packed[_LENGTH.size : end])
        names = tuple(map(str, head["names"]))
        columns: dict[str, array[int] | array[float]] = {}
        for name in (*INTS, *FLOATS):
            column: array[int] | array[float] = array("i" if name in INTS else "f")
            size = len(names) * column.itemsize
            column.frombytes(packed[end : end + size])
            end += size
            if len(column) != len(names):
                raise ValueError("a column that ends early")
            columns[name] = column
        return Summary(
            int(head["rank"]),
            int(head["world"]),
            names,
            {name: columns[name] for name in INTS},  # type: ignore[misc]
            {name: columns[name] for name in FLOATS},  # type: ignore[misc]
            str(head["host"]),
            int(head["steps"]),
            int(head["backwards"]),
            str(head["missing"]),
            coder(Origin).decode(head["origin"]) if head["origin"] is not None else None,
            tuple(coder(Lack).decode(lack) for lack in head["lacks"]),
            tuple(coder(Told).decode(told) for told in head["found"]),
            bool(head["stage"]),
            tuple(coder(Location).decode(line) for line in head["uses"]),
        )
    except (zlib.error, struct.error, KeyError, TypeError) as error:
        raise ValueError(f"not the summary of a rank: {error}") from error
