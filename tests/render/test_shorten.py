"""Names that are too long keep what tells them apart."""

from __future__ import annotations

import pytest

from gradscope.render.shorten import shorten


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("blocks.0.att.in_proj_weight", 27, "blocks.0.att.in_proj_weight"),
        ("blocks.11.att.in_proj_weight", 26, "b….11.att.in_proj_weight"),
        ("encoder.layers.3.attention.out_proj.weight", 24, "e….l….3.a….o….weight"),
        ("transformer.h.10.mlp.c_proj.bias", 10, "tra…j.bias"),
        ("a_name_without_any_dots_in_it", 10, "a_n…_in_it"),
        ("loss = criterion(decoder(latent), target) + penalty", 21, "loss = cri… + penalty"),
    ],
)
def test_numbers_and_the_last_part_stay(text, most, shown):
    assert shorten(text, most) == shown
    assert len(shown) <= most


@pytest.mark.parametrize("most", range(3, 40))
def test_it_is_never_longer_than_asked(most):
    for text in (
        "encoder.layers.3.attention.out_proj.weight",
        "x" * 50,
        "a b " * 20,
        "1.2.3.4.5.6.7.8.9.10.11.12.13.14",
    ):
        assert len(shorten(text, most)) <= most
