"""Facts to disk and back: one SQLite file per process, whole after `kill -9`, readable while it is written.

* `RunWriter` has a step on disk before the training goes on; `read_run` gives a `Run` back and never raises
  for damage: what could not be read stands in `run.notes`.
* SQLite because it survives a killed process, is read while written, and comes with Python; a row per step with packed
  columns because a row per parameter costs 75 times as much (300 parameters: 0.06 ms against 0.9 ms a step).
* Nothing is ever unpickled. A row carries a checksum, every value is checked against the type its record declares.
"""

from __future__ import annotations

from gradscope.runfile.reader import Opened as Opened
from gradscope.runfile.reader import open_run as open_run
from gradscope.runfile.reader import read_run as read_run
from gradscope.runfile.schema import rank_path as rank_path
from gradscope.runfile.writer import RunWriter as RunWriter
from gradscope.runfile.writer import write_run as write_run
