"""Facts to findings: pure functions, no torch. `diagnose(run)` applies every rule."""

from __future__ import annotations

from gradscope.diagnosis.engine import diagnose as diagnose
