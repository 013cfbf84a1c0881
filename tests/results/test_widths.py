"""lrcore.results.widths: made-up transformers whose answer is known, both ways."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from figure_rows import generation_rows, study, with_choice

from lrcore.results import widths
from lrcore.results.study_rows import StudyRows

NOISE = 0.05


def with_widths(distances: dict[tuple[str, int, str], float], seeds: tuple[int, ...] = (0, 1)) -> StudyRows:
    """The study of the chosen settings (width 128), and for each autoencoder, width and skip a distance.

    Both seeds have it, one a thousandth more than the other.
    """
    chosen = with_choice(study(generation_rows()))
    rows = []
    for (ae, width, skip), distance in distances.items():
        own = chosen.confirmed[(chosen.confirmed["ae"] == ae) & (chosen.confirmed["train_seed"] == 0)]
        rows += [
            own.assign(width=float(width), skip=skip, train_seed=seed, fid=distance * (1 + seed / 1000))
            for seed in seeds
        ]
    own = chosen.confirmed.assign(fid=100.0)
    return dataclasses.replace(chosen, confirmed=own, widths=pandas.concat(rows, ignore_index=True))


def judged(**rae: float) -> list[widths.Judgement]:
    """Of RAE (112 channels) at width 64, without and with a linear skip, where it has 100 at width 128."""
    found = {("rae", 64, "linear" if name == "skip" else "none"): value for name, value in rae.items()}
    return widths.judge(widths.by_width(with_widths(found)), NOISE)


@pytest.mark.parametrize(
    ("rae", "kind"),
    [
        ({"narrow": 140, "skip": 101}, widths.RANK),
        ({"narrow": 140, "skip": 139}, widths.CAPACITY),
        ({"narrow": 140, "skip": 120}, widths.BOTH),
        ({"narrow": 103, "skip": 101}, widths.NO_LOSS),
        ({"narrow": 107, "skip": 103.5}, widths.UNCLEAR),
        ({"narrow": 140}, widths.NO_SKIP_TRIED),
    ],
)
def test_a_skip_tells_rank_from_capacity(rae: dict[str, float], kind: str) -> None:
    (found,) = judged(**rae)
    assert (found.ae, found.channels, found.narrow, found.enough, found.kind) == ("rae", 112, 64, 128, kind)
    assert found.gap == pytest.approx(rae["narrow"] * 1.0005 / 100 - 1)


def test_a_skip_that_helps_where_no_rank_is_lacking_proves_nothing() -> None:
    rae = {("rae", 64, "none"): 140, ("rae", 64, "linear"): 100}
    control = {("sd", 64, "none"): 140, ("sd", 64, "linear"): 100}
    (found,) = widths.judge(widths.by_width(with_widths(rae | control)), NOISE)
    assert found.kind == widths.SKIP_HELPS_ALL and found.helped == ("sd",)
    assert "also helps SD, where no rank is lacking" in widths.in_words(found, "FID")
    alike = {("sd", 64, "none"): 104, ("sd", 64, "linear"): 104}
    (found,) = widths.judge(widths.by_width(with_widths(rae | alike)), NOISE)
    assert found.kind == widths.RANK


def test_nothing_counts_where_the_noise_is_not_known_well() -> None:
    rows = widths.by_width(with_widths({("rae", 64, "none"): 140, ("rae", 64, "linear"): 100}))
    for unknown in (math.inf, math.nan):
        assert [one.kind for one in widths.judge(rows, unknown)] == [widths.UNCLEAR]
    assert widths.finding(rows, math.inf, "FID") == (
        "Whether a width of 64 lacks rank or capacity for RAE's 112 channels cannot be told within noise"
    )


def test_rows_are_of_one_protocol_one_setting_and_shared_seeds() -> None:
    rows = widths.by_width(with_widths({("rae", 64, "none"): 140, ("sd", 192, "none"): 90}))
    assert rows[["ae", "width", "skip"]].to_numpy().tolist() == [
        ["sd", 128, "none"], ["sd", 192, "none"], ["rae", 64, "none"], ["rae", 128, "none"],
    ]  # fmt: skip
    assert set(rows["trainings"]) == {2} and set(rows["n_samples"]) == {128}  # of three at width 128
    assert rows["distance"].tolist() == pytest.approx([100, 90 * 1.0005, 140 * 1.0005, 100])
    assert rows["low"].tolist()[1] == 90 and rows["high"].tolist()[1] == pytest.approx(90.09)
    other = with_widths({("rae", 64, "none"): 140})
    unlike = dataclasses.replace(other, widths=other.widths.assign(n_samples=999))
    assert widths.by_width(unlike).empty and widths.by_width(study(generation_rows())).empty


def test_capacity_alone_is_told_where_every_width_has_room() -> None:
    falls = widths.by_width(with_widths({("sd", 64, "none"): 130, ("sd", 192, "none"): 90}))
    assert not widths.judge(falls, NOISE)
    assert widths.finding(falls, NOISE, "FID") == "FID of SD falls by 44 % from width 64 to 192"
    flat = widths.by_width(with_widths({("sd", 64, "none"): 101, ("sd", 192, "none"): 99}))
    assert widths.finding(flat, NOISE, "FID") == "FID of SD does not clearly change from width 64 to 192"
    lost = widths.by_width(with_widths({("sd", 64, "none"): math.nan, ("sd", 192, "none"): 99}))
    assert widths.finding(lost, NOISE, "FID") == "FID of SD is not known from width 64 to 192: trainings diverged"
    assert widths.finding(flat, math.nan, "FID").endswith("cannot be told: its noise is not known")


def test_a_skip_that_hurts_tells_nothing_of_rank() -> None:
    """By however much, and whether it helps another autoencoder or not."""
    for skip in (200, 400, 40_000):
        rows = widths.by_width(with_widths({
            ("rae", 64, "none"): 140, ("rae", 64, "linear"): skip, ("sd", 64, "none"): 140, ("sd", 64, "linear"): 100,
        }))  # fmt: skip
        (judged,) = widths.judge(rows, NOISE)
        assert judged.kind == widths.UNCLEAR


def test_a_wider_transformer_that_is_clearly_better_shows_what_holds_back() -> None:
    narrow = {("rae", 64, "none"): 140.0, ("rae", 64, "linear"): 120.0}
    for wide, held in ((90.0, True), (98.0, False)):
        rows = widths.by_width(with_widths({**narrow, ("rae", 192, "none"): wide}))
        said = widths.numbers_in_words(rows, NOISE, "FID")
        assert f"100 at width 128, {wide:.1f} at width 192." in said
        assert ("So a transformer of width 128 still holds RAE back." in said) == held


def test_losses_near_noise_are_those_of_the_same_trainings() -> None:
    made = with_widths({("rae", 64, "none"): 140, ("rae", 64, "linear"): 100})
    setting = {"ae": "rae", "repa": "none", "trainp": "ln", "trainshift": 1.78}
    rows = [
        {**setting, "train_seed": seed, "width": width, "skip": skip, "step": step, "t_low": low, "t_high": low + 0.5,
         "loss": loss + low + (5 if step == 100 else 0), "count": 10}
        for (width, skip, loss) in ((128.0, "none", 0.5), (64.0, "none", 0.95), (64.0, "linear", 0.52))
        for seed in (0, 1, 2) for step in (100, 200) for low in (0.0, 0.5)
    ]  # fmt: skip
    losses = pandas.DataFrame(rows)
    own = losses["width"] == 128
    both = dataclasses.replace(made, losses=losses[own].assign(width=math.nan, skip=""), width_losses=losses[~own])
    found = widths.by_width(both)
    assert found["loss"].tolist() == pytest.approx([1.02, 1.45, 1.0]) and set(found["t_low"]) == {0.5}
    assert widths.loss_in_words(found) == (
        "Loss at t 0.5 to 1, RAE against width 128: +0.45 at width 64 (rank alone costs 0.43 at t = 1), "
        "+0.02 with a linear skip."
    )
    assert widths.loss_finding(found) == (
        "RAE's loss near noise is +0.45 at width 64 against width 128, and +0.02 there with a linear skip"
    )
    assert widths.loss_finding(found[found["skip"] == "none"]) == widths.loss_finding(widths.by_width(made)) == ""
    assert widths.loss_in_words(widths.by_width(made)) == ""
