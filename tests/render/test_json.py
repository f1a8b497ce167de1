"""The JSON report: the contract."""

from __future__ import annotations

import json
import math

import builders

from gradscope.render.json import render_json, to_dict

REPORT = {
    "schema", "gradscope", "torch", "ok", "steps", "backwards", "models", "flow", "findings", "notes",
}  # fmt: skip
MODEL = {"name", "class", "state", "parameters", "trainable", "flowing", "grad_norm", "applied_norm"}
FINDING = {
    "code", "name", "severity", "model", "parameters", "state", "cause", "evidence", "location", "path", "also",
    "message", "fix", "steps", "detail",
}  # fmt: skip
LOCATION = {"file", "line", "function", "text"}


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_as_agreed(golden):
    golden("sick.json", render_json(builders.sick_report()))


def test_the_contract_has_these_keys():
    report = strict(render_json(builders.sick_report()))

    assert set(report) == REPORT
    assert set(report["models"][0]) == MODEL
    assert set(report["flow"][0]) == {"location", "count", "models"}
    assert set(report["findings"][0]) == FINDING
    assert set(report["findings"][0]["location"]) == LOCATION


def test_a_model_without_gradient_has_null_and_one_with_zeros_has_zero():
    report = to_dict(builders.make_report(builders.make_run({"none": ("w",), "zero": {"w": 0.0}})))

    assert [model["grad_norm"] for model in report["models"]] == [None, 0.0]
    assert report["flow"][0]["models"] == {"none": None, "zero": 0.0}


def test_numbers_that_json_lacks_become_words():
    run = builders.make_run({"a": {"w": math.nan}, "b": {"w": math.inf}})
    report = strict(render_json(builders.make_report(run)))

    assert [model["grad_norm"] for model in report["models"]] == ["nan", "inf"]


def test_a_finding_without_line_or_steps_has_null():
    finding = to_dict(builders.make_report(builders.make_run({"a": ("w",)}), [builders.make_finding(path=())]))[
        "findings"
    ][0]

    assert finding["location"] is None
    assert finding["path"] == []


def test_hostile_names_come_back_whole(hostile):
    text = render_json(builders.hostile_report(hostile))
    text.encode("utf-8")

    assert strict(text)["models"][0]["name"] == hostile
