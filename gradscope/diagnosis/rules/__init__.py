"""The rules, in the order in which they are applied."""

from __future__ import annotations

from gradscope.diagnosis.finding import Rule
from gradscope.diagnosis.rules.gs101_no_gradient import RULE as NO_GRADIENT
from gradscope.diagnosis.rules.gs102_unused_module import RULE as UNUSED_MODULE
from gradscope.diagnosis.rules.gs103_frozen import RULE as FROZEN
from gradscope.diagnosis.rules.gs104_intermittent import RULE as INTERMITTENT
from gradscope.diagnosis.rules.gs201_zero_gradient import RULE as ZERO_GRADIENT
from gradscope.diagnosis.rules.gs301_nonfinite_gradient import RULE as NONFINITE_GRADIENT
from gradscope.diagnosis.rules.gs401_vanishing_gradient import RULE as VANISHING_GRADIENT
from gradscope.diagnosis.rules.gs402_exploding_gradient import RULE as EXPLODING_GRADIENT
from gradscope.diagnosis.rules.gs501_not_in_optimizer import RULE as NOT_IN_OPTIMIZER
from gradscope.diagnosis.rules.gs502_in_two_optimizers import RULE as IN_TWO_OPTIMIZERS
from gradscope.diagnosis.rules.gs503_never_stepped import RULE as NEVER_STEPPED
from gradscope.diagnosis.rules.gs504_learning_rate import RULE as LEARNING_RATE
from gradscope.diagnosis.rules.gs505_clipped_away import RULE as CLIPPED_AWAY
from gradscope.diagnosis.rules.gs506_stale_gradient import RULE as STALE_GRADIENT
from gradscope.diagnosis.rules.gs507_lost_before_step import RULE as LOST_BEFORE_STEP
from gradscope.diagnosis.rules.gs508_never_changes import RULE as NEVER_CHANGES
from gradscope.diagnosis.rules.gs509_double_backward import RULE as DOUBLE_BACKWARD
from gradscope.diagnosis.rules.gs510_moves_without_gradient import RULE as MOVES_WITHOUT_GRADIENT
from gradscope.diagnosis.rules.gs601_rank_without_gradient import RULE as RANK_WITHOUT_GRADIENT
from gradscope.diagnosis.rules.gs602_ranks_apart import RULE as RANKS_APART
from gradscope.diagnosis.rules.gs603_outlier_rank import RULE as OUTLIER_RANK
from gradscope.diagnosis.rules.gs701_unused_declaration import RULE as UNUSED_DECLARATION

RULES: tuple[Rule, ...] = (
    NO_GRADIENT,
    UNUSED_MODULE,
    FROZEN,
    INTERMITTENT,
    ZERO_GRADIENT,
    NONFINITE_GRADIENT,
    VANISHING_GRADIENT,
    EXPLODING_GRADIENT,
    NOT_IN_OPTIMIZER,
    IN_TWO_OPTIMIZERS,
    NEVER_STEPPED,
    LEARNING_RATE,
    CLIPPED_AWAY,
    STALE_GRADIENT,
    LOST_BEFORE_STEP,
    NEVER_CHANGES,
    DOUBLE_BACKWARD,
    MOVES_WITHOUT_GRADIENT,
    RANK_WITHOUT_GRADIENT,
    RANKS_APART,
    OUTLIER_RANK,
    UNUSED_DECLARATION,
)


def code_of(said: str) -> str:
    """The code, or the beginning of codes, that a user's word means: `GS201`, `gs2`, `zero-gradient`; "" if none."""
    code = next((rule.code for rule in RULES if rule.name == said.lower()), said.upper())
    return code if any(rule.code.startswith(code) for rule in RULES) else ""
