"""A parameter: its names, and what is known of the tensor itself."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.records.lines import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """One name of a parameter: `fqn` inside `model`."""

    model: str
    fqn: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A leaf tensor that could be trained."""

    uid: int
    shape: tuple[int, ...]
    dtype: str
    device: str
    trainable: bool
    owners: tuple[Owner, ...] = ()
    module: str = ""
    """Class name of the module that holds it directly."""
    built: Path = ()
    """Where its module was put into its parent, where known."""
    loaded: bool = False
    """Its value was written after construction: copied, loaded or filled by the user."""
    frozen_at: Path = ()
    """The line that last set `requires_grad` to False, where seen."""
    frozen_clock: int = 0
    """When that was, among all such lines."""
    frozen_line: str = ""
    """`file:line` that last froze it, also if it was thawed again since."""
    freezes: int = 0
    """How often `requires_grad` was set to False, where seen."""
    thaws: int = 0
    """How often it was set from False to True, where seen."""
    thawed: bool = False
    """It required a gradient at some time after an optimizer held it."""
    registered: Path = ()
    """The line that gave it to its module, where seen."""
    rebound: bool = False
    """That came after its module was put into its parent."""
    copy_of: int | None = None
    """The uid it was deep-copied from, where seen."""
    replaces: int | None = None
    """The uid that had its name before and that an optimizer still holds."""
    replaced: int = 0
    """How often another tensor took this name."""
    late: bool = False
    """It came after the first backward pass."""
    evaluating: bool = False
    """Its module is in eval() mode."""
    copied_at: Path = ()
    """The line of the deepcopy it came from."""
    cast_at: Path = ()
    """The line that moved it to another dtype or device."""
    shared_at: Path = ()
    """The line that put its module, when it was trainable, into a second parent."""
    misset: bool = False
    """`requires_grad = True` was set on a module that holds it, as an attribute that does nothing."""
    drifts: int = 0
    """How often its value was seen changed although no optimizer holds it."""
    buffer: bool = False
    """It is a buffer of a module, and requires no gradient."""
    former: tuple[Owner, ...] = ()
    """Its names, if another instance of its model has them now and no optimizer held it."""

    @property
    def numel(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def name(self) -> str:
        """`model.fqn` of its first owner."""
        if not self.owners:
            return f"parameter{self.uid}"
        first = self.owners[0]
        return f"{first.model}.{first.fqn}" if first.fqn else first.model
