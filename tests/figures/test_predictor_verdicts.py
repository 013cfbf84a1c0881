"""lrcore.figures.predictor_verdicts: which predictors are excluded, on rows whose answers are known."""

from __future__ import annotations

import dataclasses

import pandas
import pytest
from atlas_rows import GROUPS, NAMES, atlas_rows, of_group
from figure_rows import generation_rows, study

from lrcore.errors import LrcoreError
from lrcore.figures import atlas_forest, predictor_verdicts
from lrcore.results.atlas_predictors import PREDICTORS, judged_in
from lrcore.results.correlations import BEYOND, EXCLUDED, REVERSED

GFID = [2.0 * (number + 1) for number in range(10)]


@pytest.fixture(scope="module")
def rows() -> pandas.DataFrame:
    """As `atlas_rows`, and an iFID that has the order of group `free`."""
    return pandas.concat([atlas_rows(), pandas.DataFrame(of_group(GFID, "ae", quantity="ifid"))], ignore_index=True)


@pytest.fixture(scope="module")
def found(rows: pandas.DataFrame) -> pandas.DataFrame:
    told = atlas_forest.computed(rows, GROUPS, list(PREDICTORS))
    return predictor_verdicts.of_groups(rows, GROUPS, told)


def test_a_group_is_judged_by_all_its_predictors(rows: pandas.DataFrame) -> None:
    free = judged_in(rows, GROUPS, "free").set_index("predictor")
    assert free["value"].to_dict() == pytest.approx({"ifid": 1.0, "rfid": -1.0, "psnr": -1.0})  # PSNR: higher is better
    assert free["verdict"].to_dict() == {"ifid": BEYOND, "rfid": REVERSED, "psnr": REVERSED}
    with pytest.raises(LrcoreError, match="group"):
        judged_in(rows, GROUPS, "none")
    assert judged_in(rows, GROUPS, "ae").empty


def test_only_groups_that_count_have_a_say(found: pandas.DataFrame) -> None:
    said = {name: sorted(part["group"]) for name, part in found.groupby("predictor")}
    assert said == {"ifid": ["free"], "psnr": ["free"], "rfid": ["free", "other"]}


def test_words_name_the_excluded_and_what_is_more_than_chance(found: pandas.DataFrame) -> None:
    excluded = "2 of 3 predictors are excluded in every group that has them: rFID (2 groups) and PSNR (1 group)."
    reverse = "rFID and PSNR clearly point the other way round in at least one group."
    beyond = "iFID does better than chance in at least one group."
    assert predictor_verdicts.groups_in_words(found) == f"{excluded} {reverse} {beyond}"
    contradicted = found.assign(verdict=[EXCLUDED if name == "other" else BEYOND for name in found["group"]])
    said = predictor_verdicts.groups_in_words(contradicted)
    assert said.startswith("None of 3 predictors is excluded in every group that has it. ")
    assert said.endswith("Another group excludes rFID.")
    assert "No predictor does better than chance" in predictor_verdicts.groups_in_words(found.assign(verdict=EXCLUDED))
    assert predictor_verdicts.groups_in_words(found.head(0)).startswith("No protocol group has 8 latent spaces")


def test_a_row_of_the_table_leads_to_the_scatters(found: pandas.DataFrame) -> None:
    table = predictor_verdicts.group_table(found).markup
    assert table.count("<tr>") == 4 and table.count("?group=other&amp;x=rfid") == 1
    assert "−1.00 [−1.00 to −1.00], n = 10" in table


def test_a_study_of_few_says_nothing_and_one_of_many_what_it_excludes() -> None:
    few = study(generation_rows())
    assert predictor_verdicts.study_in_words(few) == ""
    one = few.generation[few.generation["ae"] == "sd"]
    generation = pandas.concat([one.assign(ae=name, fid=one["fid"] * (2 + n)) for n, name in enumerate(NAMES)])
    own = few.latents[few.latents["ae"] == "sd"].head(1)
    latents = pandas.concat(
        own.assign(ae=name, metric=metric, index=-1, value=value)
        for metric, values in (("ifd", range(10)), ("flip_error", range(10, 0, -1)))
        for name, value in zip(NAMES, values, strict=True)
    )
    many = dataclasses.replace(few, generation=generation, latents=latents)
    said = predictor_verdicts.study_in_words(many)
    assert "iFD is better than chance and flip error is excluded." in said
    assert said.startswith("In study `toy`, with 10 latent spaces, iFD is better")
    assert "iFD comes nearest to the order, with a rank correlation (Spearman's ρ) of 1.00; in" in said
    assert "For comparison" not in said  # all have the same loss of the decoder
    worse = dataclasses.replace(many, generation=_of_decoders(generation))
    said = predictor_verdicts.study_in_words(worse)
    assert said.endswith(
        "For comparison: the KID of reconstructions, which no transformer can change, has ρ 1.00 with that of samples. "
        "With *G*, which leaves the decoder out, iFD has ρ −1.00."
    )


def _of_decoders(generation: pandas.DataFrame) -> pandas.DataFrame:
    """Rows whose distances to images rise from one autoencoder to the next with the decoder's loss, and G with them."""
    place = generation["ae"].map({name: float(number) for number, name in enumerate(NAMES)})
    return generation.assign(kid=1 + place, floor_kid=place / 10, gaussian_kid=10.0, reconstruction_kid=1 / (1 + place))
