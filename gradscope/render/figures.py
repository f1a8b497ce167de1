"""Figures of a report, drawn with matplotlib; each takes `ax` to draw into the user's own axes.

* Absence is never drawn as zero: what received nothing is a gap or hatched, zero has a colour of its own.
* Who received a gradient was counted at each pass, norms were measured at some: a figure shows both, and says at how
  many passes norms were measured. No line leads over what is not known.
* No pyplot: a figure belongs to the caller alone, nothing global is left behind. matplotlib is imported here only,
  so that it costs nothing until a figure is asked for.
"""

from gradscope.render.figures_bars import plot_depth
from gradscope.render.figures_heatmap import plot_heatmap
from gradscope.render.figures_histogram import plot_histograms
from gradscope.render.figures_lines import plot_norms, plot_updates
from gradscope.render.figures_matrix import plot_flow

__all__ = ["plot_depth", "plot_flow", "plot_heatmap", "plot_histograms", "plot_norms", "plot_updates"]
