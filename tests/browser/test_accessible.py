"""axe-core finds nothing serious, in the light and in the dark, on a desk and on a phone."""

from __future__ import annotations

from importlib.resources import files

import builders
import pytest

from gradscope.render.html import render_page
from tests.render import figure_builders, graph_builders

pytest.importorskip("selenium", reason="selenium is not installed: pip install '.[test]'")
pytest.importorskip("axe_core_python", reason="axe-core is not installed: pip install '.[test]'")

PAGES = {
    "sick": builders.sick_report,
    "healthy": builders.healthy_report,
    "gan": builders.gan_report,
    "deep": lambda: graph_builders.deep_net(30),
    "figures": figure_builders.report_for_figures,
}
RUN = "axe.run(document, {resultTypes: ['violations']}).then(arguments[arguments.length - 1])"


@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 1200), (False, 390)], ids=["light", "dark", "phone"])
@pytest.mark.parametrize("report", PAGES.values(), ids=PAGES.keys())
def test_nothing_serious(show, report, dark, width):
    page = show(render_page(report()), dark=dark, width=width)
    page.execute_script("document.querySelectorAll('details').forEach(each => (each.open = true))")
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    page.set_script_timeout(60)
    found = page.execute_async_script(RUN)["violations"]
    serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]

    assert serious == []
