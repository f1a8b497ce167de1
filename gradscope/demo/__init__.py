"""The demo: three ways to train several models together, right and as people really break them, on real data.

* `two_into_one`: the outputs of two models are concatenated into a third.
* `chain`: the input of one model depends on the output of another.
* `weighted_losses`: separate losses are weighted and summed.

Each script in these folders stands alone; the broken ones differ from `right.py` by a line or two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FOLDER = Path(__file__).parent


def load_digits() -> tuple[torch.Tensor, torch.Tensor]:
    """1,797 handwritten digits: images (1797, 8, 8) from 0 to 1, and which digit each is."""
    import numpy
    import torch

    with numpy.load(FOLDER / "digits.npz") as data:
        return torch.from_numpy(data["images"]).float() / 16, torch.from_numpy(data["labels"]).long()


def scripts() -> list[str]:
    """The names of all demo scripts, `situation/version`, the broken ones of each situation before the right one."""
    found = [path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.py")]
    order = ("two_into_one", "chain", "weighted_losses")
    return sorted(found, key=lambda name: (order.index(name.split("/")[0]), name.endswith("/right"), name))
