"""The events of one step as one blob: a JSON head with the scalars, then the norms as packed columns.

* What repeats from step to step (sets of parameters, paths of source lines) is an *atom*, written once and named by a
  number. A mapping of norms is then one atom for its keys and 4 bytes per value.
* Values are float32 where that is exact (torch's norms are), else float64; "received, not measured" is a second atom,
  and takes no values where nothing was. What a step applied just as its backward left it is stored once.
* Sets are stored as runs of consecutive uids, because uids count through a model.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args

from gradscope.records import Backward, Clear, Event, Location, OptimizerStep, Path, Write
from gradscope.records.columns import Cohort, Column
from gradscope.runfile.codec import Coder, DamagedError, coder, type_hints

KINDS: tuple[type, ...] = (Backward, OptimizerStep, Clear, Write)
_LENGTH = struct.Struct("<I")
_PATH = coder(tuple[Location, ...])
_RUNS = coder(tuple[int, ...])
_NONE = "n"
"""A column of which nothing was measured."""

Atom = frozenset[int] | Path
ToAtom = Callable[[Atom], int]
FromAtom = Callable[[Any, str], Any]
"""From the number of an atom and what it must be (`uids`, `path`, or `keys`: uids as a cohort) to its content."""


@dataclass(frozen=True, slots=True)
class Field:
    """How one field of an event is stored: as `column`, `uids` or `path` (both atoms), or `plain`."""

    name: str
    role: str
    plain: Coder
    default: Any


def encode_atom(atom: Atom) -> bytes:
    """A set of uids as runs `[start, count, ...]`, a path as its locations."""
    plain: Any = {"uids": _runs(sorted(atom))} if isinstance(atom, frozenset) else {"path": _PATH.encode(atom)}
    return json.dumps(plain, separators=(",", ":")).encode()


def decode_atom(body: bytes, kind: str, limit: int) -> Atom | Cohort:
    """A set of uids (`keys` is the same as a cohort, in the order of its columns), or a path.

    `limit` is how many members it may have: a run of uids takes a few bytes, whatever its length.
    """
    plain = json.loads(body)
    if not isinstance(plain, dict) or ("path" if kind == "path" else "uids") not in plain:
        raise DamagedError(f"an atom that is no {kind}")
    if kind == "path":
        path: Path = _PATH.decode(plain["path"])
        return path
    runs = _RUNS.decode(plain["uids"])
    starts, counts = runs[::2], runs[1::2]
    if len(starts) != len(counts) or min(counts, default=1) < 1 or sum(counts) > limit:
        raise DamagedError("an impossible set of parameters")
    uids = (uid for start, count in zip(starts, counts, strict=True) for uid in range(start, start + count))
    return Cohort(uids) if kind == "keys" else frozenset(uids)


def _runs(uids: list[int]) -> list[int]:
    runs: list[int] = []
    for uid in uids:
        if runs and uid == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += (uid, 1)
    return runs


def pack(events: Iterable[Event], to_atom: ToAtom) -> bytes:
    """One blob for the events of a step."""
    columns: list[tuple[Mapping[int, float | None], bytes]] = []
    head = [_pack_event(event, to_atom, columns) for event in events]
    encoded = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_LENGTH.pack(len(encoded)), encoded, *(column for _, column in columns)))


def _pack_event(
    event: Event, to_atom: ToAtom, columns: list[tuple[Mapping[int, float | None], bytes]]
) -> dict[str, Any]:
    head: dict[str, Any] = {"event": type(event).__name__}
    for field in _LAYOUT[type(event)]:
        value = getattr(event, field.name)
        if value is field.default or value == field.default:
            continue
        if field.role == "column":
            number = next((i for i, (known, _) in enumerate(columns) if known is value), -1)
            head[field.name], column = ([number], None) if number >= 0 else _pack_column(value, to_atom)
            if column is not None:
                columns.append((value, column))
        elif field.role == "plain" or value is None:
            head[field.name] = field.plain.encode(value)
        else:
            head[field.name] = to_atom(value)
    return head


def _pack_column(values: Mapping[int, float | None], to_atom: ToAtom) -> tuple[list[Any], bytes]:
    import numpy as np  # whoever only reads need not wait for it

    column = values if isinstance(values, Column) else Column(Cohort(values), list(values.values()))
    if column.cohort.uids and not column.row and len(column.missing) == len(column.cohort.uids):
        return [to_atom(column.cohort.everyone), _NONE], b""
    unmeasured = frozenset(column.missing)
    wide = np.array([0.0 if value is None else value for value in column.all] if unmeasured else column.row, "<f8")
    wide = wide[np.frombuffer(column.cohort.ascending, np.int64)]
    with np.errstate(over="ignore"):
        narrow = wide.astype("<f4")
    exact = np.array_equal(narrow, wide, equal_nan=True)
    entry: list[Any] = [to_atom(column.cohort.everyone), "f" if exact else "d"]
    if unmeasured:
        entry.append(to_atom(unmeasured))
    return entry, (narrow if exact else wide).tobytes()


def unpack(body: bytes, from_atom: FromAtom) -> tuple[Event, ...]:
    """The events of one blob; raises DamagedError (or a ValueError of JSON) where it is not whole."""
    if len(body) < _LENGTH.size:
        raise DamagedError("a step without a head")
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    head = json.loads(body[_LENGTH.size : end])
    if not isinstance(head, list):
        raise DamagedError("a step whose head is no list")
    cursor = _Cursor(body, end)
    return tuple(_unpack_event(entry, from_atom, cursor) for entry in head)


class _Cursor:
    """Where the next column starts."""

    def __init__(self, body: bytes, offset: int) -> None:
        self.body = body
        self.offset = offset
        self.read: list[Column] = []

    def column(self, code: str, count: int) -> array[float]:
        values: array[float] = array(code)
        chunk = self.body[self.offset : self.offset + count * values.itemsize]
        if len(chunk) != count * values.itemsize:
            raise DamagedError("a column that ends early")
        self.offset += len(chunk)
        values.frombytes(chunk)
        if sys.byteorder == "big":
            values.byteswap()
        return values


def _unpack_event(head: Any, from_atom: FromAtom, cursor: _Cursor) -> Event:
    kind = _BY_NAME.get(str(head.get("event"))) if isinstance(head, dict) else None
    if kind is None:
        raise DamagedError("an event of no known kind")
    found: dict[str, Any] = {}
    for field in _LAYOUT[kind]:
        if field.name in head:
            found[field.name] = _unpack_field(field, head[field.name], from_atom, cursor)
        elif field.default is MISSING:
            raise DamagedError(f"{kind.__name__} without {field.name}")
    event: Event = kind(**found)
    return event


def _unpack_field(field: Field, value: Any, from_atom: FromAtom, cursor: _Cursor) -> Any:
    if field.role == "column":
        return _unpack_column(value, from_atom, cursor)
    if field.role == "plain" or value is None:
        return field.plain.decode(value)
    return from_atom(value, field.role)


def _unpack_column(entry: Any, from_atom: FromAtom, cursor: _Cursor) -> Column:
    if not isinstance(entry, list) or len(entry) not in (1, 2, 3):
        raise DamagedError("a column without its description")
    if len(entry) == 1:
        if type(entry[0]) is not int or not 0 <= entry[0] < len(cursor.read):
            raise DamagedError("a column that is another one, which is not there")
        return cursor.read[entry[0]]
    cohort: Cohort = from_atom(entry[0], "keys")
    cursor.read.append(
        Column(cohort) if entry[1] == _NONE else Column(cohort, _values(entry, cohort, from_atom, cursor))
    )
    return cursor.read[-1]


def _values(entry: list[Any], cohort: Cohort, from_atom: FromAtom, cursor: _Cursor) -> Sequence[float | None]:
    if entry[1] not in ("f", "d"):
        raise DamagedError("a column of no known kind")
    values = cursor.column(entry[1], len(cohort.uids))
    if len(entry) == 2:
        return values
    missing = from_atom(entry[2], "uids")
    return [None if uid in missing else value for uid, value in zip(cohort.uids, values, strict=True)]


def _layout(kind: Any) -> tuple[Field, ...]:
    hints = type_hints(kind)
    return tuple(Field(f.name, _role(hints[f.name]), coder(hints[f.name]), _default(f)) for f in fields(kind))


def _role(hint: Any) -> str:
    """What a type is stored as; `X | None` as X is."""
    members = [member for member in get_args(hint) if member is not type(None)]
    if type(None) in get_args(hint) and len(members) == 1:
        hint = members[0]
    if hint == Path:
        return "path"
    if hint == frozenset[int]:
        return "uids"
    return "column" if hint in (Mapping[int, float], Mapping[int, float | None]) else "plain"


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


_LAYOUT = {kind: _layout(kind) for kind in KINDS}
_BY_NAME = {kind.__name__: kind for kind in KINDS}
