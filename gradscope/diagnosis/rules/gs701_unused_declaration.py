"""GS701 unused-declaration: a comment `# gradscope: ...` lets nothing pass, or is not understood.

Comments in the source declare what is meant:

    target = encoder(x).detach()        # gradscope: expect-no-grad
    self.pooler = Pooler()              # gradscope: expect-no-grad
    # gradscope: ignore[GS504]
    optimizer = SGD(net.parameters(), lr=0)

On the line to blame or on the line that builds the model, or alone on the line above. `expect-no-grad` lets the rules
GS1xx pass, `ignore` those that it names. One that matches no finding hides nothing and may be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule
from gradscope.records import Run

CODE = ("GS701", "unused-declaration")


def check(run: Run) -> Iterable[Finding]:  # noqa: ARG001
    """Nothing by itself: what is unused is known when all other rules have spoken (diagnosis/declarations.py)."""
    return ()


RULE = Rule(*CODE, check, __doc__ or "")
