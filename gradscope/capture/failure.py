"""What happens when gradscope itself fails: one warning, and the training goes on."""

from __future__ import annotations

import warnings

from gradscope import errors

_said: set[str] = set()


def warn_once(probe: str, error: Exception) -> None:
    """Warn that a probe failed and was detached; the first time only."""
    if probe in _said:
        return
    _said.add(probe)
    warnings.warn(
        f"gradscope: the {probe} probe failed and was detached; training goes on without it"
        f" ({type(error).__name__}: {error}). Please report this.",
        errors.ProbeWarning,
        stacklevel=3,
    )
