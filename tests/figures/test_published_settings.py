"""lrcore.figures.published_settings: the published best settings, what is observed there, and what is likely a slip."""

from __future__ import annotations

import dataclasses
import functools

import pandas
import pytest
from figure_rows import atlas_rows, generation_rows, published_rows, study

from lrcore.errors import LrcoreError
from lrcore.figures.agreement import judged
from lrcore.figures.published_settings import best_table, observations, repa_in_words, slips
from lrcore.results.claim_parts import Claim

ATLAS, PUBLISHED = atlas_rows(), published_rows()


@functools.cache
def verdicts() -> dict[str, list[Claim]]:
    return judged({"toy": study(generation_rows())}, PUBLISHED)


def said(rows: pandas.DataFrame | None = None, atlas: pandas.DataFrame = ATLAS) -> dict[str, str]:
    """The bullets on a study of these rows, by their title."""
    studies = {"toy": study(generation_rows() if rows is None else rows)}
    text = observations(atlas, PUBLISHED, studies, verdicts())
    pairs = (line.removeprefix("- **").split(".** ", 1) for line in text.splitlines())
    return dict(pairs)  # type: ignore[arg-type]


def test_table() -> None:
    made = best_table(ATLAS)
    assert made.frame["autoencoder"].tolist() == ["SD", "SD", "FLUX.1", "FLUX.1", "FLUX.2", "FLUX.2", "RAE", "RAE"]
    assert made.frame["REPA"].tolist() == ["no", "yes"] * 4
    assert made.frame.loc[0].tolist() == ["SD", "no", "12.40", "pln", "1.00", "2.95", "700,000"]
    assert made.frame.loc[7].tolist() == ["RAE", "yes", "3.10", "ln", "6.93", "6.93", "700,000"]
    assert made.note.startswith("Those without REPA come from a third party's transcription")
    assert best_table(ATLAS.assign(secondary=False)).note == ""
    with pytest.raises(LrcoreError, match="no rows"):
        best_table(ATLAS.head(0))


def test_what_repa_changes() -> None:
    assert repa_in_words(ATLAS) == (
        "REPA changes the published lowest gFID: SD −38 %, FLUX.1 −26 %, FLUX.2 −18 %, RAE −11 % (@tbl-published-best)."
    )
    assert repa_in_words(ATLAS[~ATLAS["generator"].str.endswith("+ REPA")]) == ""


def test_what_is_observed() -> None:
    found = said()
    assert found["Training density"] == (
        "Published: `ln` in 6 of 8 rows, `pln` in 2, `ts` in none. "
        "Ours: [points the same way](agreement.qmd#sec-findings) in study `toy`."
    )
    grows = found["Train shift by channels"]
    assert "1.78 or 1.00 for FLUX.1 (64 channels), 4.63 for FLUX.2" in grows
    assert "Published: the first is at least the second in all 8 rows." in found["Sample shift against train shift"]
    lowered = found["Train shift with REPA"]
    assert "lower for FLUX.1 (1.78 to 1.00), the same for SD, FLUX.2 and RAE." in lowered
    early = found["Early in training"]
    assert "the best train shift of SD after 200k steps is 1.78, at all other steps 1.00" in early
    assert "in study `toy` a best shift moves between steps in none of 16 cases" in early
    once = said(generation_rows().query("step == 200"))
    assert "looks at one step" in once["Early in training"]


def test_verdicts_are_those_of_the_page_on_agreement() -> None:
    studies, found = {"toy": study(generation_rows())}, verdicts()
    told = {claim.claim: claim.verdict for claim in found["toy"]}
    assert f"[{told['REPA lowers the best train shift.']}]" in said()["Train shift with REPA"]
    turned = {"toy": [dataclasses.replace(claim, verdict="holds") for claim in found["toy"]]}
    assert observations(ATLAS, PUBLISHED, studies, turned).count("[holds](agreement.qmd#sec-findings)") == 4


def test_a_grid_that_does_better_elsewhere_later_is_said_to_move() -> None:
    rows = generation_rows()
    worse = (rows["step"] == 100) & (rows["trainshift"] == 1.78) & (rows["ae"] == "sd")
    found = said(rows.assign(fid=rows["fid"].mask(worse, 9 * rows["fid"])))
    early = found["Early in training"]
    assert "a best shift moves between steps in 2 of 16 cases" in early  # with REPA and without


def test_rows_that_say_otherwise_change_the_words() -> None:
    """Nothing is written down that the rows do not hold."""
    found = said(atlas=ATLAS.assign(density="ts", trainshift=9.0, sampleshift=1.0))
    assert found["Training density"].startswith("Published: `ts` in 8 of 8 rows.")
    assert "at least the second in none of 8 rows" in found["Sample shift against train shift"]
    assert "the same for SD, FLUX.1, FLUX.2 and RAE" in found["Train shift with REPA"]


def test_slips() -> None:
    assert slips(ATLAS, PUBLISHED).splitlines() == [
        "- Its LPIPS, 0.9519 for SD, is likely the unweighted variant: it would be about 0.13 on the usual scale.",
        "- It prints the predicted shift of FLUX.2 as 2.82; the root of 128 / 16 rounds to 2.83.",
    ]
    right = ATLAS.assign(value=ATLAS["value"].mask(ATLAS["quantity"] == "predicted_shift", 2.83))
    assert "predicted" not in slips(right, PUBLISHED) and slips(ATLAS.head(0), PUBLISHED.head(0)) == ""
