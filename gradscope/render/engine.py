"""Lay out DOT text: the system's `dot`, else the Graphviz that pygraphviz brings, each in a process with a time limit.

* A child process for pygraphviz as well: a layout that hangs or crashes in C must not take the user's program along.
* `AGraph.draw(..., prog="dot")` in one step; `layout()` and then `draw()` crashes in pygraphviz 2.0 (seen 12 of 12).
* The limit counts what the engine computes where the system can tell (Linux), so that a busy machine costs time but
  no picture; on the clock it may be `PATIENCE` times as long. All tries share it. A sleeping engine is not waited for:
  it hangs, the next one is asked, and it is not asked again by this process.
* A PNG of a very large graph is drawn smaller: its pixels took a minute and 3 GB, and no program showed them.
* Nothing here raises for a missing, failing or slow engine: the caller gets a sentence instead of a picture.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

resource: Any
try:
    import resource
except ImportError:  # Windows
    resource = None

SECONDS = 20.0
HANGS = 5.0
"""Seconds after which an engine that sleeps is given up."""
TRIES = 3
"""How often an engine may crash over one picture."""
PATIENCE = 2
LOOK, LOOKS = 0.25, 3
"""Seconds between looks at what the engine does, and how many in a row it has to sleep to be given up."""
PNG_DPI = 144
PNG_PIXELS = 8_000
"""The longer side of a PNG at most."""
_hanging: set[str] = set()
"""Engines that hung in this process."""

_CHILD = """
import sys
import pygraphviz
text = sys.stdin.buffer.read().decode("utf-8")
graph = pygraphviz.AGraph(string=text)
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot", args=sys.argv[2]))
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture, or the reason why there is none."""

    data: bytes | None
    reason: str | None = None
    slow: bool = False
    hangs: bool = False


class _AsleepError(subprocess.TimeoutExpired):
    """The engine waits for something that does not come."""


def layout(source: str, form: str, seconds: float = SECONDS) -> Layout:
    """Lay out DOT text as `svg`, `png` or `pdf`."""
    failures = []
    left = seconds
    for name, command in _engines(form):
        if name in _hanging:
            failures.append(f"{name} hung at an earlier picture")
            continue
        start = time.monotonic()
        result = _run(name, command, source, left)
        if result.data:
            return result
        if result.hangs:
            _hanging.add(name)
        else:
            left = _left(left, start)
        failures.append(result.reason or name)
        if result.slow:
            break  # the other engine runs the same algorithm: it would only double the wait
    if not failures:
        return Layout(
            None, "No picture: Graphviz is not installed (`pip install pygraphviz`, or the system's graphviz)."
        )
    return Layout(None, f"No picture: {'; '.join(failures)}.")


def _engines(form: str) -> list[tuple[str, list[str]]]:
    engines = []
    most = PNG_PIXELS / PNG_DPI  # Graphviz shrinks what is larger
    options = [f"-Gdpi={PNG_DPI}", f"-Gsize={most:.2f},{most:.2f}"] if form == "png" else []
    if dot := shutil.which("dot"):
        engines.append(("dot", [dot, f"-T{form}", *options]))
    if sys.executable and importlib.util.find_spec("pygraphviz"):
        # -P: a file in the working directory must not stand in for a module of the standard library.
        engines.append(("pygraphviz", [sys.executable, "-P", "-c", _CHILD, form, " ".join(options)]))
    return engines


def _run(name: str, command: list[str], source: str, seconds: float, tries: int = TRIES) -> Layout:
    counted = hasattr(resource, "prlimit")
    start = time.monotonic()
    try:
        # No shell, the program is dot or this Python, and the DOT text goes in by a pipe: nothing foreign is executed.
        with subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            try:
                if counted:
                    _limit(child.pid, seconds)
                out, err = _wait(child, source.encode(), seconds, seconds * PATIENCE if counted else seconds)
            except BaseException as error:
                child.kill()
                if isinstance(error, _AsleepError):
                    return Layout(None, f"{name} hangs (it slept for {error.timeout:g} s)", hangs=True)
                if isinstance(error, subprocess.TimeoutExpired):
                    return _late(name, error.timeout)
                raise
    except OSError as error:
        return Layout(None, f"{name} could not be started ({error.strerror or type(error).__name__})")
    if child.returncode == 0 and out:
        return Layout(out)
    if counted and child.returncode == -signal.SIGXCPU:
        return _late(name, seconds, " of computing")
    if child.returncode < 0 and tries > 1:  # the same text is laid out by the next process: it depends on addresses
        return _run(name, command, source, _left(seconds, start), tries - 1)
    return Layout(None, _failure(name, child.returncode, err.decode("utf-8", "replace")))


def _wait(child: subprocess.Popen[bytes], text: bytes, seconds: float, most: float) -> tuple[bytes, bytes]:
    """What the engine says. One that sleeps is given up soon, one that waits for a busy machine late."""
    start, asleep, before = time.monotonic(), 0, 0.0
    hangs = min(seconds, HANGS)
    given: bytes | None = text
    while True:
        passed = time.monotonic() - start
        try:
            return child.communicate(given, min(LOOK, max(most - passed, 0.0)))
        except subprocess.TimeoutExpired:
            given = None
            passed = time.monotonic() - start
            state, used = _doing(child.pid)
            asleep = asleep + 1 if state == "S" and used == before else 0
            before = used
            if passed >= most:
                raise subprocess.TimeoutExpired(child.args, most) from None
            if passed >= hangs and asleep >= LOOKS:
                raise _AsleepError(child.args, hangs) from None


def _doing(process: int) -> tuple[str, float]:
    """The state of a process (S is asleep) and the clock ticks it has computed; nothing where the system hides it."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return fields[0], float(fields[11]) + float(fields[12])
    except (OSError, IndexError, ValueError):
        return "", 0.0


def _left(seconds: float, start: float) -> float:
    """What is left of the limit for the next try."""
    return max(seconds - (time.monotonic() - start), 1.0)


def _late(name: str, seconds: float, of: str = "") -> Layout:
    return Layout(None, f"{name} did not finish within {seconds:.3g} s{of}", slow=True)


def _failure(name: str, status: int, said: str) -> str:
    """How an engine failed: the signal that ended it, else its last words that are no warning."""
    if status < 0:
        known = {int(each): each.name for each in signal.Signals}
        return f"{name} crashed ({known.get(-status, f'signal {-status}')})"
    words = [line for line in said.strip().splitlines() if line.strip() and "warning" not in line.lower()]
    return f"{name} failed ({words[-1].strip()[:120] if words else f'exit status {status}'})"


def _limit(process: int, seconds: float) -> None:
    """Let a process compute for so many seconds, whatever the clock on the wall says."""
    most = math.ceil(seconds)
    with contextlib.suppress(OSError):  # it is over already, or the system forbids it: the clock remains
        resource.prlimit(process, resource.RLIMIT_CPU, (most, most + 1))
