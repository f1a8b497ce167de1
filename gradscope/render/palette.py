"""The colours of graphs and figures: one per model, the same everywhere, told apart by colour-blind readers.

* Okabe and Ito's set without vermilion and black: red is kept for cuts, black is lost on a dark page.
* Text outside a filled box uses `TEXT`: about 4.5:1 against white as well as against black.
"""

from __future__ import annotations

MODEL_COLOURS = ("#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C6BB1", "#A6761D", "#4D9221")
DEAD = "#8A8F98"
CUT = "#D0312D"
ZERO = "#3A3F47"
TEXT = "#757A82"
INK = "#1B1F24"
PAPER = "#FFFFFF"


def model_colour(index: int) -> str:
    """Colour of the model at `index` in the run."""
    return MODEL_COLOURS[index % len(MODEL_COLOURS)]


def tint(colour: str, share: float) -> str:
    """`colour` mixed with white; `share` is how much of it is left."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * share):02X}" for part in parts)


def shade(colour: str, share: float) -> str:
    """`colour` mixed with black; `share` is how much of it is left."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part * share):02X}" for part in parts)
