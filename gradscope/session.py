"""Sessions: a whole script watched and traced, its models discovered. What `gradscope run` and its like open."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from gradscope.capture.capture import Capture
from gradscope.capture.continuous import Continuous
from gradscope.capture.facts import glance
from gradscope.recording import Destination, recorder_of
from gradscope.records import Run
from gradscope.report import Report


class Session:
    """Watches everything a script trains, and traces it until nothing new turns up: models and names are discovered."""

    def __init__(
        self, *, discover: bool = True, steps: int | None = None, to: Destination = None, trace: bool = True
    ) -> None:
        self._capture = Capture(discover=discover, limit=steps)
        self._trace = trace
        self._recorder = recorder_of(to)

    def __enter__(self) -> Session:
        self._capture.open()
        if self._trace:
            Continuous(self._capture)
        self._recorder.follow(self._capture)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.close()
        self._recorder.close()

    def on_step(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the number of each step that is over."""
        self._capture.watcher.loop.on_step.append(callback)

    def read_namespace(self, variables: dict[str, Any]) -> None:
        """Look for the names of models in a namespace, for example that of a finished script."""
        self._capture.read_namespace(variables)

    def report(self, script: str = "") -> Report:
        return Report(self.facts(script))

    def facts(self, script: str = "") -> Run:
        return self._capture.run(script)

    def glance(self) -> Run:
        """The counts alone, for another thread while this one is blocked."""
        return glance(self._capture)
