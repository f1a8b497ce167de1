"""What other ranks find, as far as the report of one does not say it already."""

from __future__ import annotations

import pytest

from gradscope.diagnosis.elsewhere import elsewhere
from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.records import Job, Location, Run
from gradscope.records.ranks import Elsewhere, Told

HERE, THERE = Location("train.py", 5), Location("train.py", 9)


def own(code, model="net", parameters=("a",), location=HERE):
    return Finding(
        code,
        "",
        Severity.ERROR,
        model,
        parameters,
        "none",
        "detach",
        Evidence.TRACED,
        f"{model} suffers.",
        "",
        location,
    )


def heard(code, model="net", parameters=("a",), location=HERE, first=(1,)):
    told = Told(code, "error", model, parameters, "none", "detach", "traced", f"{model} suffers.", "", location)
    return Run(job=Job(2, (), elsewhere=(Elsewhere(told, first, len(first)),)))


@pytest.mark.parametrize(
    ("run", "finding"),
    [
        (heard("GS102"), own("GS601")),  # that the rank lacks a gradient
        (heard("GS301"), own("GS603", parameters=("b",))),  # that its numbers stand out, wherever
        (heard("GS402", model="other"), own("GS603")),
        (heard("GS501", location=THERE), own("GS501")),
        (heard("GS201"), own("GS201")),
        (heard("GS402", first=(0, 1)), own("GS501")),  # the one that reports has explained its own
    ],
)
def test_what_is_said_already_is_left_out(run, finding):
    assert elsewhere(run, [finding]) == []


@pytest.mark.parametrize(
    ("run", "finding"),
    [
        (heard("GS102", parameters=("b",)), own("GS601")),
        (heard("GS501"), own("GS601")),
        (heard("GS501", model="other"), own("GS501")),
        (heard("GS201", location=THERE), own("GS201")),  # a later stage of a pipeline
    ],
)
def test_what_is_not_said_is_told_with_the_rank(run, finding):
    (told,) = elsewhere(run, [finding])

    assert told.message.startswith("On rank 1: ")
    assert (told.code, told.ranks) == (run.job.elsewhere[0].told.code, (1,))
