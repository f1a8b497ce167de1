"""The facts: what a training run did, as frozen records of numbers and strings.

* Capture writes these and nothing else; diagnosis, run files and renderers read these and nothing else.
* A record never holds a tensor, module, frame or graph node, so it keeps nothing of the user's program alive.
* A parameter is known by its `uid`, an integer unique within the run.
* Absence is a fact: a parameter missing from a mapping of norms received nothing. `None` as a norm
  means "received, not measured". Neither is ever written as 0.0.
* `clock` orders all events of a run; `step` counts turns of the user's loop from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradscope.records.cost import Cost as Cost
from gradscope.records.counted import Arrivals as Arrivals
from gradscope.records.counted import Passes as Passes
from gradscope.records.counted import Tally as Tally
from gradscope.records.declared import Declaration as Declaration
from gradscope.records.drawn import Edge as Edge
from gradscope.records.drawn import Graph as Graph
from gradscope.records.drawn import Histogram as Histogram
from gradscope.records.drawn import Node as Node
from gradscope.records.events import Backward as Backward
from gradscope.records.events import Clear as Clear
from gradscope.records.events import Event as Event
from gradscope.records.events import OptimizerStep as OptimizerStep
from gradscope.records.events import Write as Write
from gradscope.records.lines import Location as Location
from gradscope.records.lines import Path as Path
from gradscope.records.parameters import Owner as Owner
from gradscope.records.parameters import Parameter as Parameter
from gradscope.records.ranks import Across as Across
from gradscope.records.ranks import Averaged as Averaged
from gradscope.records.ranks import Job as Job
from gradscope.records.ranks import RankRow as RankRow
from gradscope.records.traced import DECORATED as DECORATED
from gradscope.records.traced import DERIVATIVE as DERIVATIVE
from gradscope.records.traced import ELSEWHERE as ELSEWHERE
from gradscope.records.traced import EVALUATED as EVALUATED
from gradscope.records.traced import FROZEN_RANK as FROZEN_RANK
from gradscope.records.traced import KEPT as KEPT
from gradscope.records.traced import LATE as LATE
from gradscope.records.traced import LEFT_OFF as LEFT_OFF
from gradscope.records.traced import LOAD as LOAD
from gradscope.records.traced import MADE_OF_DATA as MADE_OF_DATA
from gradscope.records.traced import MET as MET
from gradscope.records.traced import MET_ITSELF as MET_ITSELF
from gradscope.records.traced import OVERWRITTEN as OVERWRITTEN
from gradscope.records.traced import SAVE as SAVE
from gradscope.records.traced import SELECTIVE as SELECTIVE
from gradscope.records.traced import WRAPPED as WRAPPED
from gradscope.records.traced import WRAPPER as WRAPPER
from gradscope.records.traced import YIELDED as YIELDED
from gradscope.records.traced import ZERO_INPUT as ZERO_INPUT
from gradscope.records.traced import Cut as Cut
from gradscope.records.traced import Origin as Origin

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Model:
    """A registered module or named list of tensors. `parameters` are uids, in the order of the model."""

    name: str
    class_name: str
    parameters: tuple[int, ...]
    expected_idle: bool = False
    """The user declared that it gets no gradient."""
    third_party: bool = False
    """A package other than torch wrote its class."""
    shallow_of: str = ""
    """The model of which this is a shallow copy (copy.copy): both have the very same layers."""


@dataclass(frozen=True, slots=True)
class Group:
    """One parameter group of an optimizer, as it was when last seen."""

    parameters: tuple[int, ...]
    lr: float | None
    initial_lr: float | None = None
    """What a scheduler started from; None without one."""


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer that was seen. `built` is the line that built it or, per group, added to it."""

    uid: int
    name: str
    class_name: str
    groups: tuple[Group, ...]
    built: Path = ()
    added: tuple[Path, ...] = ()
    """Per group: the line that handed it over."""
    frozen: frozenset[int] = frozenset()
    """Parameters that were seen to be frozen when it was built."""
    past: frozenset[int] = frozenset()
    """Parameters that it stepped, and that were taken out of its groups."""
    joined: tuple[int, ...] = ()
    """Groups, by number, that were added after it had stepped."""
    eps: float | None = None
    steps: int = 0
    exhausted: Path = ()
    """Where an iterator that was handed over as a group had been used up before."""
    step_line: Path = ()
    """A call of its step() in the source, whether or not it ran."""
    guard_line: Path = ()
    """The condition in the source that decides whether that call is reached."""
    scheduled: bool = False
    """A scheduler sets its learning rate."""
    scheduler_line: Path = ()
    """A call of that scheduler's step() in the source, else where it is built or the rate is set by hand."""
    scheduler_built: Path = ()
    """Where that scheduler is built, in the source."""

    @property
    def parameters(self) -> tuple[int, ...]:
        return tuple(uid for group in self.groups for uid in group.parameters)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Run:
    """All facts of one run: what capture hands to diagnosis, and what a run file holds."""

    torch: str = ""
    gradscope: str = ""
    script: str = ""
    steps: int = 0
    backwards: int = 0
    models: tuple[Model, ...] = ()
    parameters: Mapping[int, Parameter] = field(default_factory=dict)
    optimizers: tuple[Optimizer, ...] = ()
    events: tuple[Event, ...] = ()  # in a long run the oldest and the newest
    tallies: Mapping[int, Tally] = field(default_factory=dict)
    cuts: tuple[Cut, ...] = ()
    origins: tuple[Origin, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not seen, in words for the reader."""
    traced: int = 0
    """How many steps were traced."""
    built: Mapping[str, Path] = field(default_factory=dict)
    """Per `model.prefix` of a module without any used parameter: the line that put it into its parent."""
    never_used: frozenset[int] = frozenset()
    """Parameters that no traced operation read, over all traced steps."""
    unseen: frozenset[int] = frozenset()
    """Parameters in modules that ran in another thread than the traced one."""
    graph: Graph | None = None
    histograms: tuple[Histogram, ...] = ()
    rank: int = 0
    world: int = 1
    parts: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Per parameter of which this rank holds a part: of how many, and the passes that left this part all zero."""
    job: Job | None = None
    """What the ranks of the job said, where they were asked."""
    averaged: Mapping[int, Averaged] = field(default_factory=dict)
    """Per parameter that a DistributedDataParallel holds."""
    stage: bool = False
    """This process trains one stage of a pipeline: what it holds is no copy of what other ranks hold."""
    declarations: tuple[Declaration, ...] = ()
    between: tuple[Event, ...] = ()
    """A sample of the backward passes and optimizer steps between those, to draw. What is inferred from one event
    following another is inferred from `events`."""
    marked: bool = False
    """The user marked whole turns of the loop."""
    lines: tuple[Passes, ...] = ()
    """Per line that called `backward()`; of very many lines only the first."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    cost: Cost = field(default_factory=Cost)

    @property
    def backward_events(self) -> list[Backward]:
        return [event for event in self.events if isinstance(event, Backward)]

    @property
    def passes(self) -> list[Backward]:
        """All that is kept of the backward passes, the sample included; what `index` leaves out was not kept."""
        sample = [event for event in self.between if isinstance(event, Backward)]
        return (
            sorted([*self.backward_events, *sample], key=lambda event: event.clock) if sample else self.backward_events
        )

    @property
    def updates(self) -> list[OptimizerStep]:
        """The optimizer steps that are kept and whose updates were measured, the sample included."""
        found = (e for e in (*self.events, *self.between) if isinstance(e, OptimizerStep) and e.ratios)
        return sorted(found, key=lambda event: event.clock)

    @property
    def step_events(self) -> list[OptimizerStep]:
        return [event for event in self.events if isinstance(event, OptimizerStep)]

    @property
    def trained(self) -> bool:
        """A backward pass ran, or an optimizer found gradients that came from elsewhere."""
        return self.backwards > 0 or any(event.norms for event in self.step_events)

    def optimizers_of(self, uid: int) -> list[Optimizer]:
        """Optimizers that hold this parameter."""
        return [o for o in self.optimizers if any(uid in group.parameters for group in o.groups)]
