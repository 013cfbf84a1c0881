"""lrcore.figures.picker and recommendation: the evidence is what the rows say, and every answer follows from it."""

from __future__ import annotations

import base64
import io
import json

import pandas
import pytest
from bs4 import BeautifulSoup
from figure_rows import diverged, generation_rows, two_networks
from figure_rows import published_rows as published_figures

from lrcore.errors import LrcoreError
from lrcore.figures.picker import MOST_CHANNELS, picker, steps
from lrcore.figures.recommendation import (
    Best,
    Evidence,
    Latent,
    answer,
    latents,
    published_evidence,
    published_rows,
    study_rows,
)

CHANNELS = {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}
TRIED = {"trainshift": (1.0, 1.78, 2.95), "sampleshift": (1.0, 6.93)}


def rows_of_study(rows: pandas.DataFrame | None = None) -> pandas.DataFrame:
    rows = generation_rows() if rows is None else rows
    return rows.assign(channels_per_token=rows["ae"].map(CHANNELS))


def latent(ae: str, channels: int, **best: float | str) -> Latent:
    found = {name: (Best(best[name], ""),) if name in best else () for name in ("trainp", "trainshift", "sampleshift")}
    return Latent(ae, channels, found)


NARROW = latent("sd", 16, trainp="ln", trainshift=1.0, sampleshift=1.0)
WIDE = latent("rae", 64, trainp="pln", trainshift=2.95, sampleshift=6.93)


def test_published_evidence() -> None:
    found = published_rows(published_figures())
    assert found["channels_per_token"].tolist() == [16] * 5 + [64] * 3 + [128] * 2 + [768] * 2
    sd = found[found["ae"] == "sd"].set_index("condition")
    assert sd["trainshift"].dropna().to_dict() == {"all steps but 200k": 1.0, "200k steps": 1.78}
    assert sd["sampleshift"].dropna().to_dict() == {"all steps but 100k": 2.95, "100k steps": 1.78}
    flux1 = found[found["ae"] == "flux1"].set_index("condition")
    assert flux1["trainshift"].dropna().to_dict() == {"with REPA": 1.0, "without REPA": 1.78}
    # what the text leaves out stands with the lowest gFID over the grid
    assert flux1["sampleshift"].dropna().to_dict() == {"DiT-XL with REPA, 700k steps": 2.95}
    told = found.dropna(subset="trainp")
    assert set(told["trainp"]) == {"ln"} and sorted(told["ae"]) == ["flux1", "flux2", "rae", "sd"]
    assert set(told["condition"]) == {"DiT-XL with REPA, 700k steps"}


def test_the_published_answer_for_the_width_of_flux1() -> None:
    given = answer(published_evidence(published_figures()), 64)
    assert given.short == "ln, train shift 1.00 or 1.78, sample shift 2.95"
    assert "as measured for FLUX.1 (64 channels)" in given.sampleshift and "not known" not in given.sampleshift
    assert given.trainp.startswith("ln (DiT-XL with REPA, 700k steps), as measured for FLUX.1")
    assert "never ts" in given.trainp


def test_evidence_of_a_study() -> None:
    found = study_rows("toy", rows_of_study())
    assert found["channels_per_token"].tolist() == [4, 4, 16, 16, 32, 32, 112, 112]
    assert found["condition"].tolist() == ["without REPA", "with REPA"] * 4
    assert set(found["step"]) == {200} and set(found["trainp"]) == {"ln"} and set(found["runner_up"]) == {"pln"}
    assert found["margin"].tolist() == pytest.approx([0.1] * 8)
    assert set(found["trainshift"]) == {1.78} and set(found["sampleshift"]) == {1.0}
    assert found["distance"].tolist()[:2] == pytest.approx([20.0, 16.0])


def test_no_best_shift_of_a_latent_that_was_tried_with_fewer() -> None:
    rows = generation_rows()
    found = study_rows("toy", rows_of_study(rows[~((rows["ae"] == "sd") & (rows["trainshift"] == 1.0))]))
    known = found.set_index("ae")[["trainshift", "sampleshift"]].notna()
    assert set(found.loc[found["ae"] == "sd", "trainshift_partly"]) == {"1.78, of 1 tried"}
    assert latents(found)[0].partly == {"trainshift": "1.78, of 1 tried (without REPA) or 1.78, of 1 tried (with REPA)"}
    assert (
        not known.loc["sd", "trainshift"].any()
        and known.loc["sd", "sampleshift"].all()
        and known.loc["rae"].all(axis=None)
    )


def test_margins_are_judged_by_the_noise_of_the_seed() -> None:
    rows = study_rows("toy", rows_of_study())
    assert latents(rows, noise=0.2)[0].best["trainp"][0].remark == "pln is 10 % worse, which another seed may change"
    assert latents(rows, noise=0.05)[0].best["trainp"][0].remark == "pln is 10 % worse"
    assert latents(rows)[0].best["trainp"][0].remark == "pln is 10 % worse"
    alone = study_rows("toy", rows_of_study(generation_rows().query("trainp == 'ts'")))
    assert latents(alone)[0].best["trainp"][0].text == "ts (without REPA; no other was tried)"


def test_where_the_rule_agrees() -> None:
    given = answer(Evidence((NARROW, WIDE), TRIED), 16)
    assert given.short == "ln, train shift 1.00, sample shift 1.00"
    assert given.trainshift == "1.00, as measured for SD (16 channels). The rule agrees."
    assert given.below.startswith("SD (16 channels): density ln; train shift 1.00; sample shift 1.00.")
    assert given.above.startswith("RAE (64 channels): density pln; train shift 2.95")
    assert given.rule == "nearest train shift that was tried: 1.00; sample shift: 1.00"


def test_where_the_rule_disagrees_the_measured_best_is_recommended() -> None:
    given = answer(Evidence((NARROW, WIDE), TRIED), 64)
    assert given.trainshift == "2.95, as measured for RAE (64 channels). The rule disagrees: it gives 1.78."
    assert given.trainp == "pln, as measured for RAE (64 channels)."
    between = answer(Evidence((NARROW, latent("rae", 64, trainshift=1.78)), TRIED), 33)
    assert between.trainshift.endswith("The rule agrees.")  # sqrt(33 / 16) = 1.44 is nearer to 1.78 than to 1
    near = answer(Evidence((NARROW, WIDE), TRIED), 30)
    assert near.trainshift == (
        "1.00, as measured for SD (16 channels). The rule disagrees: it gives 1.78. For the latent measured it agrees, "
        "so what lies between is worth a try."
    )


def test_where_the_rule_agrees_in_part() -> None:
    both = Latent("sd", 16, {**NARROW.best, "trainshift": (Best(1.78, "without REPA"), Best(1.0, "with REPA"))})
    found = answer(Evidence((both,), TRIED), 16)
    given = found.trainshift
    assert found.short == "ln, train shift 1.78 or 1.00, sample shift 1.00"
    assert given == (
        "1.78 (without REPA) or 1.00 (with REPA), as measured for SD (16 channels). The rule gives 1.00, which agrees "
        "in part (with REPA)."
    )


def test_what_is_not_known_is_said() -> None:
    evidence = Evidence((NARROW, latent("flux1", 32), WIDE), TRIED, "never ts")
    given = answer(evidence, 30)
    assert "flux1" not in given.trainshift and "Of the nearest latent it is not known." in given.trainshift
    assert given.above == "FLUX.1 (32 channels): density not known; train shift not known; sample shift not known."
    empty = answer(Evidence((latent("sd", 16),), TRIED, "never ts"), 16)
    assert empty.short == "density not known, train shift not known, sample shift not known"
    assert empty.trainp == "Not known of each latent. Reported of all: never ts."
    assert empty.trainshift == "Not known of any latent."


@pytest.mark.parametrize(("channels", "guess"), [(7, True), (8, False), (128, False), (129, True)])
def test_far_from_everything_measured_it_is_a_guess(channels: int, guess: bool) -> None:
    given = answer(Evidence((NARROW, WIDE), TRIED), channels)
    assert given.short.endswith(" (a guess)") == guess
    for sentence in (given.trainp, given.trainshift, given.sampleshift):
        assert ("more than a factor of two away, so this is a guess" in sentence) == guess


def test_beyond_the_measured_there_is_no_neighbour() -> None:
    evidence = Evidence((NARROW, WIDE), TRIED)
    assert answer(evidence, 15).below == "None." and answer(evidence, 64).above == "None."


def test_latents_of_one_width_are_both_named() -> None:
    twin = latent("flux1", 16, trainshift=1.78)
    below = answer(Evidence((NARROW, twin, WIDE), TRIED), 20).below
    assert "SD (16 channels)" in below and "FLUX.1 (16 channels)" in below


def test_steps_give_the_answer_of_every_number_of_channels() -> None:
    evidence = Evidence((NARROW, WIDE), TRIED)
    found = steps(evidence)
    assert found[0][0] == 1 and len(found) < 30
    for channels in range(1, MOST_CHANNELS + 1):
        assert [given for start, given in found if start <= channels][-1] == answer(evidence, channels)


def test_markup() -> None:
    text = picker(published_figures(), {"toy": rows_of_study()})._repr_markdown_()
    soup = BeautifulSoup(text, "html.parser")
    spec = json.loads(soup.select_one(".lrcore-picker > script").string)
    assert list(spec) == ["published", "toy"] == [option.text for option in soup.select("option")]
    assert (spec["published"]["least"], spec["toy"]["least"]) == (16, 4)
    shown = {field["data-said"]: field.text for field in soup.select("[data-said]")}
    assert shown["shift"] == "2.00" and shown["least"] == "16"  # sqrt(64 / 16)
    inside = soup.select_one(".lrcore-picker")
    first, second = inside.select_one(".lrcore-answer"), inside.select_one("dl")
    assert first.text == shown["short"] and second in first.find_next_siblings()  # the answer comes first
    assert shown["short"].startswith("ln, train shift ") and "never ts" in shown["trainp"]  # what is reported of all
    assert len(soup.select(".lrcore-table tbody tr")) == 12 + 8
    link = soup.select_one("a[download='timestep-evidence.csv']")
    rows = pandas.read_csv(io.StringIO(base64.b64decode(link["href"].split("base64,")[1]).decode()))
    assert len(rows) == 20 and rows["distance"].notna().sum() == 8
    heads = [head.text for head in soup.select(".lrcore-table thead th")]
    assert heads[:2] == ["autoencoder", "distance"]
    cells = [[cell.text for cell in row.select("td")] for row in soup.select(".lrcore-table tbody tr")]
    assert {row[heads.index("density")] for row in cells} == {"ln or pln", "ln"}
    assert "the best of all its own settings" in soup.select_one(".lrcore-table .lrcore-note").text


def test_refusals() -> None:
    with pytest.raises(LrcoreError, match="no published best shift"):
        picker(published_figures().query("table == 'trade-off'"), {})
    without = published_figures().query("quantity != 'channels_per_token' or ae != 'rae'")
    with pytest.raises(LrcoreError, match="no published channels per token of rae"):
        picker(without, {})
    with pytest.raises(LrcoreError, match="cannot be compared"):
        picker(published_figures(), {"toy": rows_of_study(two_networks())})
    with pytest.raises(LrcoreError, match="no rows"):
        picker(published_figures(), {"toy": rows_of_study().head(0)})
    with pytest.raises(LrcoreError, match="every run of study toy diverged"):
        picker(published_figures(), {"toy": diverged(rows_of_study(), study="toy")})
    twice = rows_of_study()
    twice.loc[twice.index[0], "channels_per_token"] = 5
    with pytest.raises(LrcoreError, match="two numbers of channels per token for the autoencoder sd of study toy"):
        picker(published_figures(), {"toy": twice})
