"""Parameters that have several names: tied weights. A picture draws each use of them, and says that they are one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradscope.records import Owner, Run
from gradscope.render.words import listing

_SHOWN = 2


def tied(run: Run, without: Collection[str] = ()) -> list[str]:
    """Per tied parameter all its names. That a model lies in another, or is one of those `without`, ties nothing."""
    found = []
    for parameter in run.parameters.values():
        owners: list[Owner] = []
        for owner in parameter.owners:
            if owner.model not in without and not any(_nested(owner, other) for other in owners):
                owners.append(owner)
        if len(owners) > 1:
            found.append(equals([f"{owner.model}.{owner.fqn}" for owner in owners]))
    return found


def equals(names: Sequence[str]) -> str:
    """The names of one parameter."""
    return " = ".join(names[: _SHOWN + 1])


def tied_words(found: Sequence[str]) -> list[str]:
    """The remark on a picture, if there is something to say."""
    return [f"One parameter: {listing(found, _SHOWN)}."] if found else []


def _nested(owner: Owner, other: Owner) -> bool:
    """Whether the model of one lies in that of the other, by what each calls the parameter."""
    first, second = f".{owner.fqn}", f".{other.fqn}"
    return owner.model != other.model and first != second and (first.endswith(second) or second.endswith(first))
