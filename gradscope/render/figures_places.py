"""Where the user's axes and the scale of their colours stand: both follow what becomes of the figure.

`tight_layout()`, `subplots_adjust()` and another size move the cells of a grid after the drawing. So the axes keep
a distance from the edges of their cell instead of a place, and the scale keeps one from the axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec
    from matplotlib.transforms import Affine2DBase, Bbox

LEAST = 0.3
"""Share of their cell that axes keep, whatever stands around them."""


@dataclass(slots=True)
class Inset:
    """Places axes so many inches inside of the place that is theirs; matplotlib calls it a locator."""

    ax: Axes
    left: float = 0.0
    right: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __call__(self, ax: Axes, renderer: Any = None) -> Bbox:
        """Where the axes are, in shares of the figure."""
        from matplotlib.transforms import Bbox

        figure, place = ax.get_figure(), ax.get_position(original=True)
        assert figure is not None
        wide, tall = figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi
        left, right = _kept(self.left / wide, self.right / wide, place.width)
        low, high = _kept(self.low / tall, self.high / tall, place.height)
        return Bbox.from_extents(place.x0 + left, place.y0 + low, place.x1 - right, place.y1 - high)

    def get_subplotspec(self) -> SubplotSpec | None:
        """The cell: tight_layout() asks the locator for it."""
        return self.ax.get_subplotspec()


def _kept(first: float, last: float, length: float) -> tuple[float, float]:
    """What is taken from both ends of a length: never more than LEAST leaves."""
    part = min(1.0, (1 - LEAST) * length / (first + last)) if first + last > 0 else 0.0
    return first * part, last * part


def trim(ax: Axes, *, left: float = 0.0, right: float = 0.0, low: float = 0.0, high: float = 0.0) -> None:
    """Make axes smaller by so many inches at their sides. Axes that somebody else places stay as they are."""
    inset: Any = ax.get_axes_locator()
    if inset is None:
        inset = Inset(ax)
        ax.set_axes_locator(inset)
    if isinstance(inset, Inset):
        inset.left, inset.right = inset.left + left, inset.right + right
        inset.low, inset.high = inset.low + low, inset.high + high
        ax.apply_aspect(inset(ax))


def scale_axes(ax: Axes, side: Literal["right", "bottom"], pad: float, thick: float, length: float) -> Axes:
    """Axes for a scale, `pad` inches from a side of others and `thick` inches, over a share of that side's length."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = ax.get_figure()
    assert figure is not None
    inches, axes, start = figure.dpi_scale_trans, cast("Affine2DBase", ax.transAxes), (1 - length) / 2
    if side == "right":
        across = blended_transform_factory(inches + ScaledTranslation(1, 0, axes), axes)
        bounds = (pad, start, thick, length)
    else:
        across = blended_transform_factory(axes, inches + ScaledTranslation(0, 0, axes))
        bounds = (start, -pad - thick, length, thick)
    return ax.inset_axes(bounds, transform=across, label="<colorbar>")
