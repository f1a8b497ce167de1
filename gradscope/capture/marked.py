"""Tracing in a loop whose steps the user marks: from the step after something looked wrong, for a whole turn.

What the user marks need not be the turn: a trainer tells only that a step is over, others mark the optimizer's part.
So tracing goes on past the mark until what it was begun for has been seen, and it ends where it may: at a mark where
the mode on top of the thread's stack is ours and nothing lies below it that somebody else will take off.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from gradscope.capture.threads import modes

if TYPE_CHECKING:
    from gradscope.capture.capture import Capture

T = TypeVar("T")
LONGEST = 8
"""Marks after which tracing ends whatever it saw: an optimizer that steps in every hundredth turn is not waited for."""


class Marked:
    """Begins and ends the tracing of one capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._tracing = False
        self._marks = 0
        """Ends of marked steps since tracing began."""
        self.inside = 0
        """Marked steps that were entered and not left."""
        self._wanted: frozenset[int] = frozenset()
        """Parameters for which it began."""
        capture.whole = False

    def begin(self, *, whole: bool = False) -> None:
        """A marked step begins: trace it if the ones before left something to explain."""
        capture = self._capture
        if not capture.is_open:
            return
        if not capture.watcher.loop.explicit:
            self.look_around()
        capture.watcher.loop.explicit = True
        capture.watcher.loop.whole |= whole
        if capture.registry.dirty:
            capture.watcher.read_again()
        if capture.tracer is None and capture.watcher.suspicions.take():
            self._wanted = capture.watcher.suspicions.taken
            self._tracing, self._marks = True, 0
            capture.start_tracing()

    def look_around(self) -> None:
        """Look for optimizers that are there already: passes to what they hold are passes of this training, too."""
        with suppress(Exception):  # of whatever the user's variables hold
            self._capture.watcher.book.find(sys._getframe(1))

    def end(self, *, whole: bool, failed: bool = False) -> None:
        """A marked step is over. `whole`: nothing of the turn lies outside of it. `failed`: with an exception."""
        if self._capture.is_open:
            self._end(whole=whole, failed=failed)
            self._capture.watcher.next_step()

    def between(self) -> None:
        """One turn is over and the next begins; not within a marked step, nor where nothing has happened."""
        if self.inside or not self._capture.is_open:
            return
        log = self._capture.watcher.log
        self._capture.watcher.finish_backward()
        last = log.last()
        if last is not None and last.step == log.step:
            self.end(whole=True)
        self.begin(whole=True)
        tracer = self._capture.tracer
        if self._tracing and tracer is not None and not _may_stay(tracer):
            self.stop()

    def _end(self, *, whole: bool, failed: bool) -> None:
        capture = self._capture
        if not self._tracing:
            return
        if capture.tracer is None or not capture.tracer.active:
            self.stop()
            return
        self._marks += 1
        held = self._stepped()
        capture.whole = (
            capture.whole
            or (held and ((whole and not capture.following.joined) or self._marks > 1))
            or self._marks >= LONGEST
        )
        seen = held and (self._marks > 1 or self._seen())
        if failed or seen or self._marks >= LONGEST or not _may_stay(capture.tracer):
            self.stop()

    def stop(self) -> None:
        """End tracing now."""
        if self._tracing:
            self._tracing = False
            self._capture.stop_tracing()
            self._capture.settle()

    def _stepped(self) -> bool:
        """Whether a backward pass ran, and all optimizers stepped that hold what tracing is for."""
        tape = self._capture.tape
        if tape is None:
            return False
        stepped = frozenset[int]().union(*tape.held)
        held = {uid for known in self._capture.watcher.book.known for uid in known.uids}
        return bool(tape.roots) and self._wanted & held <= stepped

    def _seen(self) -> bool:
        """Whether something was computed from each parameter that tracing is for."""
        return self._capture.tape is not None and self._wanted <= self._capture.tape.read()


class OneStep:
    """What `scope.step()` gives: a turn of the loop, from entering to leaving; never entered, it marks a turn's end."""

    def __init__(self, marked: Marked, *, whole: bool = False) -> None:
        self._marked = marked
        self._whole = whole
        self._used = False

    def __enter__(self) -> None:
        self._used = True
        self._marked.inside += 1
        if self._marked.inside == 1:  # of marks within marks the outer ones count
            self._marked.begin(whole=self._whole)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._marked.inside -= 1
        if not self._marked.inside:
            self._marked.end(whole=self._whole, failed=kind is not None)

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Each call of the function is a turn; of a coroutine from its first await to its last."""
        self._used = True
        marked, whole = self._marked, self._whole

        @functools.wraps(function)
        def stepped(*args: Any, **kwargs: Any) -> Any:
            with OneStep(marked, whole=whole):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with OneStep(marked, whole=whole):
                return await function(*args, **kwargs)

        return awaited if inspect.iscoroutinefunction(function) else stepped

    def __del__(self) -> None:
        if not self._used and not sys.is_finalizing():
            self._marked.between()


class Steps(Iterator[T]):
    """What `scope.steps()` gives: the items of an iterable, each in a turn of the loop of its own."""

    def __init__(self, marked: Marked, iterable: Iterable[T]) -> None:
        self._iterable = iterable
        self._turns = _turns(marked, iterable)

    def __next__(self) -> T:
        return next(self._turns)

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return True  # like any iterator, also of what has no length


def _turns(marked: Marked, iterable: Iterable[T]) -> Iterator[T]:
    try:
        for item in iterable:
            with OneStep(marked, whole=True):
                yield item
    finally:
        marked.stop()


def _may_stay(tracer: object) -> bool:
    """Whether a mode may stay on the stack when the user's code goes on: nobody below it is about to leave."""
    return [mode is tracer for mode in modes()] == [True]
