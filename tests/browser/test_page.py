"""The page does in a browser what it says: opened, moved through, sorted, searched, without script, by keyboard."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import replace

import builders
import pytest

from gradscope.render.html import render_cell, render_page
from tests.render import graph_builders
from tests.render.conftest import HOSTILE

pytest.importorskip("selenium", reason="selenium is not installed: pip install '.[test]'")
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

FIRST_COLUMN = "return [...document.querySelectorAll('#all-parameters tbody tr')].filter(r => !r.hidden)"
NAMES = FIRST_COLUMN + ".map(r => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def sick():
    return render_page(builders.sick_report(), sources={"extractor.py": "\n" * 13 + builders.CULPRIT.text})


def all_of(page, css):
    return page.find_elements(By.CSS_SELECTOR, css)


def one(page, css):
    return page.find_element(By.CSS_SELECTOR, css)


def test_the_verdict_and_the_culprit_are_seen(show, sick):
    page = show(sick)

    assert one(page, "h1").is_displayed()
    assert "encoder" in one(page, "h1").text
    assert one(page, "#finding-1 mark").is_displayed()
    assert builders.CULPRIT.text in one(page, "#finding-1 mark").text
    assert all(image.get_property("naturalWidth") > 0 for image in all_of(page, "figure img"))


def test_every_link_of_the_page_leads_to_something_seen(show, sick):
    page = show(sick)

    for link in all_of(page, "nav a, .links a"):
        page.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
        link.click()
        target = page.execute_script("return document.querySelector(location.hash)")
        assert page.execute_script("return arguments[0].getBoundingClientRect().top < innerHeight", target)


def test_the_table_sorts_both_ways_and_keeps_what_has_no_number_last(show, sick):
    page = show(sick)
    column = [head.text for head in all_of(page, "#all-parameters thead th")].index("last norm")
    values = FIRST_COLUMN + f".map(r => r.cells[{column}].dataset.v)"
    button = all_of(page, "#all-parameters thead th button")[column]

    for direction in ("ascending", "descending"):
        button.click()
        seen = page.execute_script(values)
        numbers = [float(value) for value in seen if value is not None]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        assert len(numbers) > 3
        assert seen[len(numbers) :] == [None] * (len(seen) - len(numbers))
        assert one(page, f"th[aria-sort={direction}]").text.startswith("last norm")


def test_the_table_is_searched(show, sick):
    page = show(sick)
    field = one(page, "input[type=search]")
    field.send_keys("DECODER bias")

    assert set(page.execute_script(NAMES)) == {"decoder.layers.0.bias", "decoder.layers.1.bias", "decoder.scale.bias"}
    assert one(page, "output").text == "3 of 17 parameters"
    field.clear()
    field.send_keys("x", Keys.BACKSPACE)
    assert len(page.execute_script(NAMES)) == 17
    assert one(page, "output").text == "17 parameters"


VISIBLE = "const level = [...document.querySelectorAll('.level')].find(each => each.offsetParent);"
DEPTH = VISIBLE + "return level.dataset.depth || null"
OPENERS = VISIBLE + "return [...level.querySelectorAll('[data-opens]')]"
BOXES = VISIBLE + "return [...level.querySelectorAll('title')].map(each => each.textContent.split(', ')[0])"


def test_a_module_of_the_graph_opens_alone(show, sick):
    page = show(sick)
    assert page.execute_script(DEPTH) == "2"
    one(page, ".depths input[value='0']").click()
    assert page.execute_script(DEPTH) == "0"
    boxes = page.execute_script(OPENERS)
    assert {box.get_attribute("aria-label") for box in boxes} == {"Open encoder", "Open decoder"}

    boxes[0].click()

    assert page.execute_script(DEPTH) is None
    assert {"encoder.layers", "decoder"} <= set(page.execute_script(BOXES))
    assert "decoder.layers" not in page.execute_script(BOXES)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert {"encoder.layers.0", "decoder"} <= set(page.execute_script(BOXES))
    assert "decoder.layers" not in page.execute_script(BOXES)
    one(page, ".depths input[value='1']").click()
    assert page.execute_script(DEPTH) == "1"


def test_an_opened_module_closes_again(show, sick):
    page = show(sick)
    one(page, ".depths input[value='0']").click()
    view = "return document.querySelector('.level[data-depth=\"0\"] svg').viewBox.baseVal.width"
    before = page.execute_script(view)
    close = next(button for button in all_of(page, ".tools button") if button.text == "Close module")
    assert not close.is_enabled()

    page.execute_script(OPENERS)[0].click()
    once = page.execute_script(BOXES)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.execute_script(BOXES) != once
    page.switch_to.active_element.send_keys(Keys.BACKSPACE)
    assert page.execute_script(BOXES) == once
    close.click()
    assert page.execute_script(DEPTH) == "0"
    assert page.execute_script(view) == before
    assert page.switch_to.active_element.get_attribute("aria-label").startswith("Open ")
    assert not close.is_enabled()


IN_VIEW = """
const paper = document.querySelector('.paper').getBoundingClientRect();
return arguments[0].split(' ').map((id) => document.getElementById(id).getBoundingClientRect()).every((part) =>
  part.width && paper.left <= part.left && part.right <= paper.right && paper.top <= part.top &&
  part.bottom <= paper.bottom);
"""


@pytest.mark.parametrize("depth", [0, 1])
def test_all_of_an_opened_module_is_in_view_and_not_blown_up(show, sick, depth):
    page = show(sick)
    openers = f".level[data-depth='{depth}'] [data-opens]"
    for nth in range(len(all_of(page, openers))):
        one(page, f".depths input[value='{depth}']").click()
        box = all_of(page, openers)[nth]
        parts = box.get_attribute("data-opens")
        box.click()

        assert page.execute_script(IN_VIEW, parts), parts
        assert page.execute_script(VISIBLE + "return level.querySelector('svg').getScreenCTM().a") <= 4 / 3 + 0.01


def test_the_graph_moves_zooms_and_comes_back(show, sick):
    page = show(sick)
    svg = one(page, ".level[data-depth='2'] svg")
    home = svg.get_dom_attribute("viewBox")
    buttons = {button.text: button for button in all_of(page, ".tools button")}
    for way in (buttons["Zoom in"].click, lambda: one(page, ".paper").send_keys(Keys.ARROW_LEFT)):
        way()
        assert svg.get_dom_attribute("viewBox") != home
        buttons["Show all"].click()
        now = [float(n) for n in svg.get_dom_attribute("viewBox").split()]
        assert now == pytest.approx([float(n) for n in home.split()])
    ActionChains(page).click_and_hold(one(page, ".paper")).move_by_offset(60, 30).release().perform()
    assert svg.get_dom_attribute("viewBox") != home


def test_everything_that_acts_is_reached_by_keyboard(show, sick):
    page = show(sick)
    page.execute_script("document.activeElement.blur()")
    reached = set()
    for _ in range(120):
        page.switch_to.active_element.send_keys(Keys.TAB)
        at = page.switch_to.active_element
        if at.tag_name == "body":
            break
        reached.add(at.id)
    acting = "a[href], button:enabled, input:not([type=radio]), input:checked, summary, [tabindex='0']"
    missed = [each for each in all_of(page, acting) if each.is_displayed() and each.id not in reached]

    assert [each.get_attribute("outerHTML")[:90] for each in missed] == []


def test_without_script_all_of_it_is_there_to_read(show, sick):
    page = show(sick, script=False)
    shown = one(page, "body").text

    for words in ("encoder gets no gradient", builders.CULPRIT.text, "Keep the tensor itself", "layers.5.weight"):
        assert words in shown
    assert one(page, ".level[data-depth='2'] svg").is_displayed()
    assert not one(page, "input[type=search]").is_displayed()
    one(page, ".depths input[value='0']").click()
    assert one(page, ".level[data-depth='0'] svg").is_displayed()
    assert not one(page, ".level[data-depth='2'] svg").is_displayed()


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out_sideways(show, sick, width):
    page = show(sick, width=width)

    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_on_paper_everything_is_open(show, sick):
    page = show(sick)
    page.execute_script("dispatchEvent(new Event('beforeprint'))")

    assert page.execute_script("return document.querySelectorAll('details:not([open]):not(.source)').length") == 0


def test_on_paper_a_long_line_is_wrapped_and_long_lists_stay_folded(show):
    line = replace(builders.CULPRIT, text="h = " + " + ".join(f"self.layers[{i}](x)" for i in range(40)))
    names = [f"layers.{i}.weight" for i in range(200)]
    run = builders.make_run({"net": names})
    found = builders.make_finding(model="net", parameters=tuple(names), path=(line,))
    page = show(
        render_page(builders.make_report(run, [found]), sources={line.file: "\n" * (line.line - 1) + line.text})
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    right = page.execute_script(
        "return Math.max(...[...document.querySelectorAll('.finding *')].map(e => e.getBoundingClientRect().right))"
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    assert right <= 1200
    assert page.execute_script("return [...document.querySelectorAll('.finding details.many')].map(d => d.open)") == [
        False
    ]


def test_on_paper_every_page_of_a_long_table_has_its_header(show, tmp_path):
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext on PATH: apt install poppler-utils")
    run = builders.make_run({"net": [f"layers.{i}.weight" for i in range(300)]})
    page = show(render_page(builders.make_report(run, [])))
    assert len(all_of(page, "#all-parameters thead button")) > 3
    printed = tmp_path / "page.pdf"
    printed.write_bytes(base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"]))
    pages = subprocess.check_output(["pdftotext", "-layout", printed, "-"], text=True).split("\f")
    with_rows = [text for text in pages if re.search(r"layers\.\d+\.weight +\d+x\d", text)]

    assert len(with_rows) > 2
    assert all("update ratio" in text for text in with_rows)


INERT = """
return {
  title: document.title,
  elements: [...document.querySelectorAll('*')].map(e => e.localName).filter(n =>
    ['iframe', 'object', 'embed', 'link', 'base', 'form', 'foreignobject', 'image', 'use'].includes(n)),
  scripts: document.scripts.length,
  handlers: [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])
    .map(a => a.name).filter(n => n.startsWith('on')),
  links: [...document.querySelectorAll('a')].flatMap(a => [a.getAttribute('href'), a.getAttribute('xlink:href')])
    .filter(h => h && !h.startsWith('#')),
  images: [...document.images].filter(i => !i.src.startsWith('data:image/svg+xml,') || !i.naturalWidth).length,
  said: window.said,
}
"""


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_do_nothing(show, name):
    page = show(render_page(builders.hostile_report(name), sources={name: (name + "\n") * 9}))

    assert page.execute_script(INERT) == {
        "title": page.title, "elements": [], "scripts": 1, "handlers": [], "links": [], "images": 0, "said": None,
    }  # fmt: skip


def test_a_hostile_graph_does_nothing(show):
    page = show(render_page(graph_builders.hostile()))
    found = page.execute_script(INERT)

    assert {key: found[key] for key in ("elements", "scripts", "handlers", "links", "said")} == {
        "elements": [], "scripts": 1, "handlers": [], "links": [], "said": None,
    }  # fmt: skip
    assert len(all_of(page, ".level svg")) >= 1


def test_a_cell_shows_the_page_in_its_frame(show):
    page = show("<!DOCTYPE html><meta charset=utf-8><title>notebook</title>" + render_cell(builders.sick_report()))
    assert builders.CULPRIT.text in one(page, "body").text
    page.switch_to.frame(one(page, "iframe"))

    assert "encoder" in one(page, "h1").get_property("textContent")
    assert len(all_of(page, "#all-parameters thead button")) > 3  # its script has run
    page.switch_to.default_content()
