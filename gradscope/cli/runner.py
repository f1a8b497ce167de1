"""Runs somebody's script as plain python would, with a session open from the moment it imports torch.

* The script is compiled with its absolute path and run in a fresh `__main__`, which stays in `sys.modules`: pickling,
  multiprocessing and exit handlers look there later. (`runpy` gives a relative `__file__` and puts the old one back.)
* Python has printed a crash before it runs exit handlers; so do we, without our own frames.
* A child that the script forked and that came back here must not report a second time.
"""

from __future__ import annotations

import os
import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gradscope.capture.borrowed import NAME as BORROWED
from gradscope.cli import ranks
from gradscope.cli.blocked import BLOCKED
from gradscope.cli.options import read_target
from gradscope.cli.program import Program, load_module, load_script
from gradscope.cli.progress import progress_on
from gradscope.errors import ScriptError, StopRun
from gradscope.torch_import import when_torch_is_imported

if TYPE_CHECKING:
    from gradscope.recording import RunRecorder
    from gradscope.records import Run
    from gradscope.report import Report
    from gradscope.session import Session

CRASHED = 1
INTERRUPTED = 130

TRAINING = 1.0
"""Seconds of processor time from which on other processes may have trained: importing torch takes more."""

OURS = str(Path(__file__).parent.parent) + os.sep


@dataclass
class Outcome:
    """What became of the script, and the session that watched it (None: it never imported torch)."""

    name: str
    status: int = 0
    session: Session | None = None
    pid: int = field(default_factory=os.getpid)
    shared: Run | None = None
    """The facts of all ranks, on the one that reports for a job of several."""
    silent: bool = False
    """Another rank reports."""
    others: float = 0.0
    """Seconds of processor time that processes took which the script started, and which are not watched."""

    @property
    def reports(self) -> bool:
        """Whether this process is the one that reports: no forked child, and of a job of several processes one."""
        return os.getpid() == self.pid and not self.silent

    @cached_property
    def report(self) -> Report:
        """The report of the session; an empty one if there was none."""
        from gradscope.records import Run
        from gradscope.report import Report

        if self.shared is not None:
            return Report(self.shared)
        return self.session.report(script=self.name) if self.session is not None else Report(Run(script=self.name))

    @property
    def says_little(self) -> bool:
        """Whether a report would hold nothing: nothing was trained, and nothing is wrong with that."""
        return bool(self.nothing) and not self.report.findings

    @property
    def crashed_early(self) -> bool:
        """Whether the script failed before it imported torch: its own message says all there is to say."""
        return self.status != 0 and self.session is None and self.shared is None

    @property
    def nothing(self) -> str:
        """In one line why there is nothing to judge; empty if there is something."""
        run = self.report.run
        if self.session is not None and run.trained and any(p.trainable for p in run.parameters.values()):
            return ""
        if self.others >= TRAINING:
            return (
                f"{self.name} trained nothing in its own process, the only one that is followed, but started others:"
                ' run it by torchrun, or call gradscope.watch(..., to="run.gradscope") where they train'
            )
        if self.session is None:
            return f"{self.name} never imported torch, so there was nothing to watch"
        if run.trained or not any(parameter.trainable for parameter in run.parameters.values()):
            return f"{self.name} trained nothing: no optimizer and no backward() ever held a trainable parameter"
        return f"{self.name} never called backward(), so there is no gradient to judge"


def run_script(args: Namespace, tell: Callable[[Outcome], None] | None = None) -> Outcome:
    """Run the script that the arguments name, to its end, whatever end that is.

    `tell` reports where this function cannot return: the process of a job is told to end, and the script is blocked.
    """
    name, rest = read_target(args)
    if args.no_compile:
        os.environ["TORCHDYNAMO_DISABLE"] = os.environ["TORCH_COMPILE_DISABLE"] = "1"
    outcome = Outcome(name)
    ranks.ENDING.attach()
    progress = None if args.quiet else progress_on(sys.__stderr__, sys.__stdout__)
    recorder = _recorder(args.out, name)
    with ExitStack() as stack:
        if progress is not None:
            stack.callback(progress.close)
        if recorder is not None:
            stack.callback(recorder.close)  # of a script that never imports torch; twice is once

        def watch() -> None:
            from gradscope.session import Session

            outcome.session = stack.enter_context(Session(discover=True, steps=args.steps, to=recorder))
            ranks.answer_alarms(outcome.session)
            if tell is not None:
                BLOCKED.reports(lambda: _tell_blocked(outcome, args.out, tell))
            if progress is not None and outcome.reports:
                outcome.session.on_step(progress.step)

        stack.enter_context(when_torch_is_imported(watch))
        before = _children()
        outcome.status = _run(load_module if args.module else load_script, name, rest)
        outcome.others = _children() - before
        BLOCKED.give_way()
        ranks.ENDING.script_is_over()
        _wait_for_threads()
        if outcome.session is not None:
            outcome.session.read_namespace(vars(sys.modules["__main__"]))
    _share(outcome, args.out)
    return outcome


def _share(outcome: Outcome, out: str | None) -> None:
    """Put the facts of all ranks together on the one that reports."""
    rank, size = ranks.world()
    if os.getpid() != outcome.pid or size < 2 or outcome.session is None:
        outcome.silent = rank != 0
        return
    outcome.shared = ranks.share(outcome.session.facts(outcome.name), outcome.status, out)
    outcome.silent = outcome.shared is None


def _tell_blocked(outcome: Outcome, out: str | None, tell: Callable[[Outcome], None]) -> None:
    """In a thread: report what was seen until the script began to wait for another rank."""
    if outcome.session is None:
        return
    outcome.shared = ranks.share(outcome.session.facts(outcome.name), ranks.TERMINATED, out)
    if outcome.shared is not None:
        tell(outcome)


def _children() -> float:
    """Seconds of processor time that ended processes have taken which this one started; 0 where nobody says."""
    try:
        import resource
    except ImportError:  # on Windows
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _recorder(out: str | None, script: str) -> RunRecorder | None:
    """What writes the run file: made before the script runs, so that a name it cannot have is told at once."""
    if out is None:
        return None
    from gradscope.recording import RunRecorder

    return RunRecorder(out, script)


def _run(load: Callable[[str, list[str]], Program], name: str, args: list[str]) -> int:
    """Load and execute a script; return the status python would have exited with."""
    try:
        code, namespace = load(name, args)
    except ScriptError:
        raise
    except BaseException as error:  # noqa: BLE001 - a syntax error, or a package that fails: the script's own crash
        return _crash(error)
    try:
        exec(code, namespace)  # noqa: S102 - that is the purpose
    except StopRun:
        return 0
    except SystemExit as error:
        return _exit_status(error.code)
    except BaseException as error:  # noqa: BLE001 - printed and turned into a status, as python does
        return _crash(error)
    return 0


def _exit_status(code: object) -> int:
    """What python makes of the argument of sys.exit."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return CRASHED


def _crash(error: BaseException) -> int:
    """Print an uncaught exception as python would, as if we were not there."""
    if isinstance(error, SystemExit):
        return _exit_status(error.code)
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            link.__traceback__ = _without_ours(link.__traceback__)
            links += [link.__cause__, link.__context__]
    sys.excepthook(type(error), error, error.__traceback__)
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else CRASHED


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback less the frames of this package and of the import system that leads back to it."""
    kept = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(OURS) and code.co_name != BORROWED:
            kept.append(traceback)
        traceback = traceback.tb_next
    for link, following in pairwise([*kept, None]):
        assert link is not None
        link.tb_next = following
    return kept[0] if kept else None


def _wait_for_threads() -> None:
    """Python waits for the script's threads before it exits; the session has to stay open until then.

    As python does it: what was registered for this moment (it tells idle workers of a pool to quit) runs first.
    """
    if not _threads_left():
        return
    hooks = getattr(threading, "_threading_atexits", [])
    while hooks:
        hooks.pop()()
    while left := _threads_left():
        left[0].join()


def _threads_left() -> list[threading.Thread]:
    """Running threads that keep python from its exit."""
    mine = threading.current_thread()
    return [thread for thread in threading.enumerate() if thread is not mine and not thread.daemon]
