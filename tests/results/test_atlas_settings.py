"""lrcore.results.atlas_settings: shifts and scales of latents alike, over rows whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path

import pandas
import pytest
from atlas_rows import row

from lrcore.records.reading import read_atlas
from lrcore.results.atlas_settings import COLUMNS, HOW, KINDS, alike, ranges, settings

WIDE = {"canonical": "A", "family": "kl", "downsampling": 8, "tokens": 256, "channels_per_token": 64}


def frame(*rows):
    return pandas.DataFrame([row(bound="", **one) for one in rows])


def told(found, *names):
    return list(found[list(names)].itertuples(index=False, name=None))


def test_what_was_used_and_what_was_best_are_told_apart():
    found = settings(
        frame(
            {**WIDE, "trainshift": 2.0, "sampleshift": 3.0},
            {**WIDE, "quantity": "best_trainshift", "value": 1.78, "trainshift": 1.78},
            {**WIDE, "quantity": "best_cfg_scale", "value": 1.6},
            {**WIDE, "guidance": "cfg", "guidance_scale": 1.5},
        )
    )
    assert tuple(found.columns) == COLUMNS
    assert told(found, "kind", "value", "how") == [
        ("trainshift", 1.78, "found best"),
        ("trainshift", 2.0, "used, as the rule says"),  # √(256 x 64 / 4096)
        ("sampleshift", 3.0, "used"),
        ("guidance", 1.6, "found best"),
        ("guidance", 1.5, "used"),
    ]


@pytest.mark.parametrize("value, how", [(2.0, HOW[2]), (2.01, HOW[2]), (2.1, HOW[1]), (1.0, HOW[1])])
def test_the_rule_is_that_of_numbers_a_latent(value, how):
    assert told(settings(frame({**WIDE, "trainshift": value})), "how") == [(how,)]


def test_a_size_comes_from_other_rows_of_the_autoencoder_where_they_agree():
    lacks = {"canonical": "A", "quantity": "best_cfg_scale", "value": 4.0}
    found = settings(frame(lacks, WIDE))
    assert told(found, "channels_per_token", "tokens", "downsampling") == [(64, 256, 8)]
    assert settings(frame(lacks, WIDE, {**WIDE, "channels_per_token": 16})).empty
    assert settings(frame({**lacks, "canonical": "B"}, WIDE)).empty


def test_what_no_statistic_may_use_and_what_a_rule_predicts_is_left_out():
    used = {**WIDE, "trainshift": 2.0}
    assert settings(frame({**used, "secondary": True})).empty
    assert settings(frame({**used, "quantity": "predicted_shift"})).empty


def test_a_setting_stands_once_with_all_latents_of_its_source():
    used = {**WIDE, "trainshift": 2.0}
    found = settings(frame(used, {**used, "quantity": "is"}, {**used, "canonical": "B"}, {**used, "source": "r"}))
    assert told(found, "source", "autoencoders") == [("r", "A"), ("s", "A · B")]
    best = {**WIDE, "quantity": "best_cfg_scale", "value": 1.6}
    assert told(settings(frame(best, {**WIDE, "guidance": "cfg", "guidance_scale": 1.6})), "how") == [("found best",)]


def test_alike_are_latents_as_wide_with_the_sizes_asked_for():
    widths = [20, 43, 64, 96, 97]
    found = settings(
        frame(*({**WIDE, "canonical": str(c), "channels_per_token": c, "trainshift": 1.5} for c in widths))
    )
    assert sorted(alike(found, 64)["channels_per_token"]) == [43, 64, 96]
    assert len(alike(found, 64, tokens=256, downsampling=8, family="kl")) == 3
    for other in ({"tokens": 64}, {"downsampling": 16}, {"family": "vq"}):
        assert alike(found, 64, **other).empty
    assert alike(found, 4096).empty and ranges(alike(found, 4096)) == {}


def test_ranges_count_sources():
    found = settings(frame(*({**WIDE, "source": s, "trainshift": v} for s, v in [("a", 1.0), ("b", 3.0), ("b", 2.0)])))
    assert ranges(found) == {"trainshift": (1.0, 3.0, 2)}


def test_the_committed_atlas_answers_for_known_latents():
    found = settings(read_atlas(Path(__file__).parents[2] / "data"))
    assert set(found["kind"]) == set(KINDS) and set(found["how"]) == set(HOW)
    flux2 = alike(found, 128, 256, 8)
    best = flux2[(flux2["how"] == "found best") & (flux2["source"] == "bfl2025representation")]
    assert set(told(best, "kind", "value")) == {("trainshift", 4.63), ("sampleshift", 6.93)}
    assert math.isclose(alike(found, 768)["value"].max(), 9.0)
    assert alike(found, 5).empty  # nothing in the literature is as narrow
