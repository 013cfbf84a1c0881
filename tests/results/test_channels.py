"""lrcore.results.channels: made-up latent spaces whose answer is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import pytest
from figure_rows import generation_rows, study, with_choice

from lrcore.results import channels
from lrcore.results.channels import BETTER, UNCLEAR, WORSE, Measure
from lrcore.results.study_rows import StudyRows

CHANNELS = {
    "pca4": 4, "pca8": 8, "pca16": 16, "pca32": 32, "pixels": 48, "flux1": 16, "flux1-aligned": 16,
    "flux2-plain": 32, "flux2": 32, "flux2-again": 32, "rae": 112, "sd": 4,
}  # fmt: skip
LINES = {"pca4": 136.0, "pca8": 70.0, "pca16": 70.5, "pca32": 80.0, "pixels": 82.0}
ALIGNED = {"flux1": 90.0, "flux1-aligned": 97.0, "flux2-plain": 101.0, "flux2": 82.0, "flux2-again": 82.5}
SHARES = {"pca4": 0.78, "pca8": 0.82, "pca16": 0.70, "pca32": 0.6, "pixels": 0.6, "flux2-plain": 0.5, "flux2": 0.64}
DISTANCE, SHARE = Measure("distance", 0.05), Measure("g_kid")


def spaces(distances: Mapping[str, float], shares: Mapping[str, float] | None = None, apart: float = 0.01) -> StudyRows:
    """The study of these latent spaces, three trainings each: their distances 1 %, their G `apart` from the middle one.

    Half of a distance is that of reconstructions. No G of those that `shares` lacks.
    """
    rows = generation_rows(aes=tuple(distances))
    rows = rows.assign(channels_per_token=rows["ae"].map(CHANNELS))
    chosen = with_choice(study(rows))
    own, seed = chosen.confirmed, chosen.confirmed["train_seed"] - 1
    fid = own["ae"].map(distances) * (1 + seed / 100)
    left = 1 - own["ae"].map(dict(shares or {})).astype(float) - apart * seed
    own = own.assign(fid=fid, kid=fid / 1000, floor_kid=fid / 2000, gaussian_kid=0.25, reconstruction_kid=0.25 * left)
    grid = chosen.generation.assign(reconstruction_kid=math.nan)
    return dataclasses.replace(chosen, generation=grid, confirmed=own)


def verdicts(found: StudyRows, measure: Measure) -> dict[str, str]:
    rows = channels.compared(found)
    return {one.unaligned: channels.of_alignment(rows, one, measure) for one in channels.alignments(rows)}


def test_rows_are_of_the_comparisons_alone() -> None:
    rows = channels.compared(spaces({**ALIGNED, **LINES, "rae": 50.0}, SHARES))
    assert rows["ae"].tolist() == [
        "pca4", "pca8", "flux1", "pca16", "flux1-aligned", "flux2", "pca32", "flux2-plain", "flux2-again", "pixels",
    ]  # fmt: skip
    by_ae = rows.set_index("ae")
    assert by_ae.loc["pca8", ["channels", "trainings", "distance"]].tolist() == [8, 3, pytest.approx(70)]
    assert by_ae.loc["pca8", ["low", "high"]].tolist() == pytest.approx([69.3, 70.7])
    assert by_ae.loc["pca8", ["g_kid", "deviation", "floor"]].tolist() == pytest.approx([0.82, 0.01, 0.5])
    assert by_ae["at_edge"].all()  # of two shifts each is one
    assert math.isnan(by_ae.loc["flux1", "g_kid"])
    # what loses the other side of its comparison by having no G is left out
    assert set(channels.with_share(rows)["ae"]) == {*LINES, "flux2-plain", "flux2"}


def test_a_study_may_have_one_comparison_or_none() -> None:
    only_lines = channels.compared(spaces({**LINES, "flux2": 82.0, "flux2-again": 82.0}))
    assert set(only_lines["ae"]) == set(LINES) and not channels.alignments(only_lines)
    only_aligned = channels.compared(spaces({**ALIGNED, "pca8": 70.0}))
    assert set(only_aligned["ae"]) == set(ALIGNED) and channels.linear(only_aligned).empty
    assert channels.best_channels(only_aligned, DISTANCE) == []
    for none in (study(generation_rows()), spaces({"flux1": 1.0, "pixels": 2.0, "flux2": 3.0, "rae": 4.0})):
        assert channels.compared(none).empty


def test_what_cannot_be_compared_is_no_comparison() -> None:
    wide = spaces(LINES)
    narrow = {
        name: getattr(wide, name).assign(width=40.0) for name in ("generation", "confirmed")
    }  # pixels have 48 channels
    assert "pixels" not in set(channels.compared(dataclasses.replace(wide, **narrow))["ae"])
    other = spaces({"flux2-plain": 101.0, "flux2": 82.0})
    unlike = {
        name: getattr(other, name).assign(channels_per_token=lambda rows: rows["ae"].map({"flux2": 32}).fillna(16))
        for name in ("generation", "confirmed")
    }
    assert channels.compared(dataclasses.replace(other, **unlike)).empty
    begun = generation_rows(aes=("pca4", "pca8"))
    begun = begun[(begun["ae"] == "pca4") == (begun["trainp"] == "ln")]  # no setting in common
    assert channels.compared(study(begun.assign(channels_per_token=4))).empty


def test_channels_within_noise_of_the_best_share_its_place() -> None:
    rows = channels.compared(spaces(LINES, SHARES))
    assert channels.best_channels(rows, DISTANCE) == [8, 16]
    assert channels.best_channels(rows, Measure("distance", 0.001)) == [8]
    assert channels.best_channels(rows, Measure("distance", 0.15)) == [8, 16, 32]
    for unknown in (math.nan, math.inf):
        assert channels.best_channels(rows, Measure("distance", unknown)) == [4, 8, 16, 32, 48]
    assert channels.best_channels(rows, SHARE) == [8]
    wide = channels.compared(spaces(LINES, SHARES, apart=0.04))
    assert channels.best_channels(wide, SHARE) == [4, 8]


def test_alignment_counts_beyond_noise_and_beyond_the_seed_of_the_autoencoder() -> None:
    assert verdicts(spaces(ALIGNED), DISTANCE) == {"flux1": WORSE, "flux2-plain": BETTER}
    assert verdicts(spaces({**ALIGNED, "flux1-aligned": 94.0}), DISTANCE)["flux1"] == UNCLEAR
    # one training of the two is within noise, or on the other side
    for again in (97.0, 120.0):
        assert verdicts(spaces({**ALIGNED, "flux2-again": again}), DISTANCE)["flux2-plain"] == UNCLEAR
    # 62 and 82 are further apart than 101 and 82: so is FLUX.1 from FLUX.1 aligned no more than a seed's work
    found = spaces({**ALIGNED, "flux2-again": 62.0})
    assert channels.moved_by_seed(channels.compared(found), DISTANCE) == pytest.approx(82 / 62 - 1)
    assert verdicts(found, DISTANCE) == {"flux1": UNCLEAR, "flux2-plain": UNCLEAR}
    once = {ae: ALIGNED[ae] for ae in ("flux2-plain", "flux2")}
    assert verdicts(spaces(once), DISTANCE) == {"flux2-plain": BETTER}
    assert math.isnan(channels.moved_by_seed(channels.compared(spaces(once)), DISTANCE))
    assert verdicts(spaces(ALIGNED), Measure("distance", math.nan)) == {"flux1": UNCLEAR, "flux2-plain": UNCLEAR}


def test_shares_are_told_apart_by_welch() -> None:
    shares = {"flux2-plain": 0.5, "flux2": 0.53}
    rows = channels.compared(spaces({ae: ALIGNED[ae] for ae in shares}, shares)).set_index("ae", drop=False)
    # equal deviations of three each: four degrees of freedom, t = 2.776
    assert channels.reach(rows.loc["flux2"], rows.loc["flux2-plain"]) == pytest.approx(
        2.776 * 0.01 * math.sqrt(2 / 3), 1e-3
    )
    assert verdicts(spaces({ae: ALIGNED[ae] for ae in shares}, shares), SHARE) == {"flux2-plain": BETTER}
    near = {"flux2-plain": 0.5, "flux2": 0.52}
    assert verdicts(spaces({ae: ALIGNED[ae] for ae in near}, near), SHARE) == {"flux2-plain": UNCLEAR}
    one = rows.loc["flux2"].copy()
    one["deviation"] = math.nan
    assert channels.reach(one, rows.loc["flux2-plain"]) == math.inf and not SHARE.knows_noise(one.to_frame().T)
    uneven = rows.loc["flux2"].copy()
    uneven["deviation"] = 1e-9  # the other alone counts: two degrees of freedom, t = 4.303
    assert channels.reach(uneven, rows.loc["flux2-plain"]) == pytest.approx(4.303 * 0.01 / math.sqrt(3), 1e-3)


def test_spaces_of_the_same_channels_are_apart_where_noise_does_not_hide_it() -> None:
    own = spaces({**LINES, **ALIGNED, "rae": 50.0})
    found = [(best["ae"], worst["ae"]) for best, worst in channels.widest_at_same_channels(own, DISTANCE)]
    assert found == [("pca16", "flux1-aligned"), ("pca32", "flux2-plain")]
    assert not channels.widest_at_same_channels(own, Measure("distance", 0.5))
    # one that is in no comparison counts, too
    alike = spaces({**LINES, "sd": 400.0})
    assert [worst["ae"] for _, worst in channels.widest_at_same_channels(alike, DISTANCE)] == ["sd"]
