"""What is best of a study is best everywhere: one pool of settings, or its other name."""

from __future__ import annotations

import dataclasses
import re

import pandas
import pytest
from figure_rows import BASE, generation_rows, published_rows, reconstruction_rows, study

from lrcore.figures import (
    agreement,
    agreement_prose,
    best,
    compactness,
    curves,
    differences,
    picker,
    predictors,
    prose,
    sensitivity,
    tradeoff,
)  # fmt: skip
from lrcore.figures.embed import Embedded
from lrcore.figures.learnability import apart_from_decoder, learned_in_words
from lrcore.results import claims, evidence, findings, learnability, order_claims, tuning_claims
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at

PUBLISHED = published_rows()
SHARED = {ae: 1.2 * 0.5 * base for ae, base in BASE.items()}
"""At train shift 1.00, which all have; RAE alone has 1.78, of half as large a distance."""


def partly() -> StudyRows:
    """A study under way: all have the train shift 1.00, RAE also 1.78, which is far better, and SD REPA."""
    rows = generation_rows("inception2015").assign(model="DiT-Nano", batch_size=8)
    rows = rows[(rows["repa"] == "none") | (rows["ae"] == "sd")]
    rows = rows[(rows["trainshift"] == 1.0) | (rows["ae"] == "rae")]
    far = rows["trainshift"] == 1.78
    return study(rows.assign(fid=rows["fid"].mask(far, rows["fid"] / 2), sample_recall=0.3 + 0.4 * far))


def test_every_figure_table_verdict_and_sentence_has_one_best() -> None:
    rows = partly()
    assert findings.by_ae(rows.best(), "distance") == pytest.approx(SHARED)
    tables = [
        tradeoff.study_tradeoff(rows.compared, rows.reconstruction).rows,
        *(made.rows for made in compactness.study_costs(rows.compared, rows.reconstruction).choices.values()),
        predictors.predictors(rows).rows,
        findings.best_per_ae(findings.mean_over_seeds(rows.compared)),
    ]
    for table in tables:
        assert findings.by_ae(table, "distance") == pytest.approx(SHARED)
    ranked = agreement.ranks(rows, PUBLISHED).rows
    assert findings.by_ae(ranked[ranked["row"] == "Study toy: FID"], "distance") == pytest.approx(SHARED)
    given = evidence.evidence(rows, PUBLISHED)
    assert given.distances(BASE) == given.distances(SHARED) == pytest.approx(SHARED)
    assert given.distances(["sd", "rae"]) == pytest.approx({ae: SHARED[ae] for ae in ("sd", "rae")})
    change = "−75 %"  # 6 against 24; by its own best RAE is at 2.5
    assert f"FID {change}" in order_claims.rae_against_sd(given).here
    title = tradeoff.study_tradeoff(rows.compared, rows.reconstruction).figure.data[-1].text[0]
    assert f"FID {change}" in title
    pairs = agreement.pairs(rows, PUBLISHED).rows.set_index(["first", "second"])["ahead"]
    assert pairs["rae", "sd"] == pytest.approx(3.0)
    steps = differences.against_noise(rows).rows.set_index(["kind", "ae"])["difference"]
    assert steps["next autoencoder", "rae"] == pytest.approx(SHARED["flux2"] / SHARED["rae"] - 1)
    assert "RAE (6.00;" in prose.best_of_study(rows.compared)
    assert "and 30 % of the real images" in agreement_prose.samples_in_words(rows)  # recall, 70 % at RAE's own best
    assert set(learnability.learned(rows)["trainshift"]) == {1.0}
    assert "RAE without REPA 6 at step 200" in curves.distance_over_steps(rows.generation).alt


def test_the_other_best_has_its_name_beside_it() -> None:
    rows = partly()
    table = best.best_parameters(rows.generation.query("step == 200")).frame
    of_rae = table[table["autoencoder"] == "RAE"].set_index("best of")["FID"]
    assert of_rae.to_dict() == pytest.approx({"shared settings": 6.0, "all its own settings": 2.5})
    assert set(table.loc[table["REPA"] == "yes", "best of"]) == {"all its own settings"}
    assert (
        "best of all an autoencoder's own settings" in sensitivity.parameter_sensitivity(rows.generation).words.subtitle
    )
    shown = picker.picker(PUBLISHED, {"toy": rows.generation}).markup
    assert "the best of all its own settings" in shown and re.search(r"<td[^>]*>2\.50</td>", shown)


def shown_of(rows: StudyRows) -> dict[str, Embedded | str]:
    """Whatever the pages say of one study's distances: figures, tables, sentences and verdicts, by where it is from."""
    judged = claims.judged(rows, PUBLISHED)
    made: dict[str, Embedded | str] = {
        "trade-off": tradeoff.of_study(rows),
        "costs": compactness.study_costs(rows.compared, rows.reconstruction),
        "curves": curves.distance_over_steps(rows.generation),
        "best": best.best_parameters(rows.generation),
        "picker": picker.picker(PUBLISHED, {"toy": rows.generation}),
        "sensitivity": sensitivity.parameter_sensitivity(rows.generation),
        "apart": apart_from_decoder(rows),
        "apart in words": learned_in_words({"toy": rows}),
        "best in words": prose.best_of_study(rows.compared),
        "redundancy": prose.redundancy(rows),
        "protocol": f"{prose.protocol(rows.generation)} {prose.measured_again(rows)}",
        "ranks": agreement.ranks(rows, PUBLISHED),
        "taus": agreement.rank_correlations(rows, PUBLISHED),
        "pairs": agreement.pairs(rows, PUBLISHED),
        "claims": agreement.claims_table("toy", judged),
        "noise": differences.against_noise(rows),
        "spreads": differences.spreads_beside_published(rows, PUBLISHED),
        "predictors": predictors.predictors(rows),
        "order": agreement_prose.order_in_words(rows, PUBLISHED),
        "predictors in words": agreement_prose.predictors_in_words(rows),
        "samples": agreement_prose.samples_in_words(rows),
        "disagreements": agreement_prose.disagreements("toy", judged),
    }
    return made | {claim.claim: claim.here for claim in judged}


def said(made: Embedded | str) -> str:
    """The words of it, and the texts inside a figure; not its rows."""
    markup = made if isinstance(made, str) else made.markup
    return re.sub(r'href="data:[^"]*"|"(?:x|y|array)":\[[^]]*\]', "", markup)


def test_no_page_says_the_other_best_without_its_name() -> None:
    """RAE is at 6.00 by the shared settings, and at 2.50 by its own."""
    texts = {where: said(made) for where, made in shown_of(partly()).items()}
    other = {where for where, text in texts.items() if re.search(r"(?<![\d.])2\.50?(?!\d)", text)}
    assert {"best", "picker"} <= other
    its_name = re.compile("all (its|an autoencoder('|&#x27;)s) own settings")
    assert [where for where in other if not its_name.search(texts[where])] == []
    given = evidence.evidence(partly(), PUBLISHED)
    for claim in (tuning_claims.shift_decides, tuning_claims.flux2_comes_nearest):
        assert "2.5" not in claim(given).here
    assert "settings that all autoencoders share, without REPA, RAE 6.00" in tuning_claims.shift_decides(given).here


def test_the_pool_is_named_where_autoencoders_are_compared() -> None:
    rows = partly()
    name = "the best of the 6 settings that all autoencoders share"
    said = [
        tradeoff.study_tradeoff(rows.compared, rows.reconstruction).words.subtitle,
        agreement.ranks(rows, PUBLISHED).words.notes,
        differences.against_noise(rows).words.notes,
        prose.best_of_study(rows.compared),
        agreement_prose.verdicts_in_words({"toy": claims.judged(rows, PUBLISHED)}, {"toy": rows}),
    ]
    assert all(name in text for text in said)
    assert name in predictors.predictors(rows).words.subtitle


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (generation_rows(), "the best of the 24 settings that all autoencoders share"),
        (generation_rows(aes=("sd",)), "the best of 24 settings"),
        (generation_rows().query("trainp == 'ln' and trainshift == 1 and sampleshift == 1 and repa == 'none'"),
         "the one setting that all share"),
        (generation_rows(aes=("sd", "rae")).query("(ae == 'sd') == (trainp == 'ln')"),
         "the best of all its own settings, of which all share none"),
        (generation_rows(aes=("sd", "rae")).query("step == 200 and trainshift == 1 and sampleshift == 1")
         .query("repa == 'none' and trainp != 'pln' and (ae == 'sd') == (trainp == 'ln')"),
         "the chosen setting of each"),
    ],
)  # fmt: skip
def test_names_of_pools(rows: pandas.DataFrame, name: str) -> None:
    assert compared_at(findings.mean_over_seeds(rows)) == name


def test_where_nothing_is_shared_each_has_the_best_of_its_own_at_its_last_step() -> None:
    rows = generation_rows(aes=("sd", "rae")).query("repa == 'none' and (ae == 'sd') == (trainp == 'ln')")
    worse = rows["fid"].where(rows["step"] == 100, 9 * rows["fid"])  # an earlier step was better
    found = findings.best_per_ae(findings.mean_over_seeds(rows.assign(fid=worse)))
    assert set(found["step"]) == {200} and set(found["ae"]) == {"sd", "rae"}
    made = tradeoff.study_tradeoff(rows, reconstruction_rows())
    assert "the best of all its own settings, of which all share none" in made.words.subtitle


def test_what_was_measured_anew_is_compared_by_that() -> None:
    rows = generation_rows()
    chosen = rows.query("trainp == 'ln' and trainshift == 1.78 and sampleshift == 1 and repa == 'none' and step == 200")
    again = chosen.assign(sample_seed=1, fid=3 * chosen["fid"])
    anew = dataclasses.replace(study(rows), confirmed=again)
    wanted = {ae: 1.5 * base for ae, base in BASE.items()}
    assert findings.by_ae(anew.best(), "distance") == pytest.approx(wanted)
    assert evidence.evidence(anew, PUBLISHED).distances(BASE) == pytest.approx(wanted)
    assert findings.by_ae(tradeoff.study_tradeoff(anew.compared, anew.reconstruction).rows, "distance") == wanted
