"""lrcore.figures.agreement and agreement_prose: what is compared, what is left out, and that words follow the rows."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import BASE, diverged, generation_rows, published_rows
from test_claims import study, without

from lrcore import claims, findings
from lrcore.claims import Claim
from lrcore.errors import LrcoreError
from lrcore.figures import agreement, agreement_prose
from lrcore.figures.studies import StudyRows

PUBLISHED = published_rows()
LAST = "study toy"


def with_seeds(deviation: float) -> pandas.DataFrame:
    """The grid, of which everything with ln has a second seed that is so much worse than the first is better."""
    rows = generation_rows()
    some = rows["trainp"] == "ln"
    first = rows.assign(fid=rows["fid"].mask(some, rows["fid"] * (1 - deviation)))
    return pandas.concat([first, rows[some].assign(train_seed=1, fid=rows["fid"] * (1 + deviation))])


def begun() -> StudyRows:
    """A study with a single training of one autoencoder."""
    rows = generation_rows(aes=("sd",))
    return study(rows[(rows["trainp"] == "ln") & (rows["trainshift"] == 1.0) & (rows["repa"] == "none")])


def confirmed(rows: StudyRows, **fid: float) -> StudyRows:
    again = pandas.DataFrame({"ae": list(fid), "fid": list(fid.values())}).assign(
        feature_network="inception2015", n_samples=2000
    )
    return StudyRows(rows.name, rows.generation, again, rows.reconstruction, rows.latents, rows.losses)


def test_claims_table_says_the_verdict_in_words() -> None:
    found = claims.judged(study(generation_rows()), PUBLISHED)
    table = agreement.claims_table("toy", found)
    assert list(table.frame.columns) == ["finding", "verdict", "published", LAST, "source"]
    assert table.frame["verdict"].tolist() == [claim.verdict for claim in found]
    assert set(table.frame["source"]) == {"FLUX.2 representation comparison", "REPA", "interpolated FID"}
    pandas.testing.assert_frame_equal(table.rows, claims.as_frame(found))
    assert not table.frame[LAST].str.contains(r"\d %").any()  # a number and its sign on two lines


def test_ranks() -> None:
    shown = agreement.ranks(confirmed(study(generation_rows()), rae=1.0, sd=2.0, flux1=3.0, flux2=4.0), PUBLISHED)
    places = shown.rows.pivot(index="row", columns="ae", values="rank")
    assert len(places) == 5 + 2
    grid = places.filter(like="EfficientNet", axis=0).iloc[0]
    assert grid.to_dict() == {"rae": 1, "flux2": 2, "sd": 3, "flux1": 4}
    assert places.filter(like="settings again", axis=0).iloc[0].to_dict() == {"rae": 1, "sd": 2, "flux1": 3, "flux2": 4}
    guided = places.filter(like="best guidance", axis=0).iloc[0]
    assert guided.to_dict() == {"flux2": 1, "rae": 2, "sd": 3, "flux1": 4}
    three = places.filter(like="SiT", axis=0).iloc[0]
    assert math.isnan(three["flux2"]) and three.drop("flux2").to_dict() == {"rae": 1, "sd": 2, "flux1": 3}
    assert "RAE, FLUX.2, SD, FLUX.1" in shown.alt
    assert {trace.name for trace in shown.figure.data} == {"RAE", "FLUX.2", "SD", "FLUX.1"}


def test_ranks_of_a_study_that_has_hardly_begun() -> None:
    shown = agreement.ranks(begun(), PUBLISHED)
    assert len(shown.rows[shown.rows["row"].str.startswith("Study toy")]) == 1
    with pytest.raises(LrcoreError, match="no published study compares"):
        agreement.ranks(begun(), PUBLISHED.head(0))


def test_rank_correlations() -> None:
    table = agreement.rank_correlations(study(generation_rows()), PUBLISHED).frame
    assert len(table) == 5
    guided = table[table["setting"].str.contains("best guidance")].iloc[0]
    assert guided[["rank correlation", "orders that agree as well"]].tolist() == ["0.67", "4 of 24"]
    without_training = table[table["distance"] == "interpolated FID"].iloc[0]
    assert without_training[["rank correlation", "orders that agree as well"]].tolist() == ["1.00", "1 of 6"]
    little = agreement.rank_correlations(begun(), PUBLISHED).frame
    assert set(little["rank correlation"]) == {"–"} and set(little["orders that agree as well"]) == {"–"}


def test_pairs() -> None:
    table = agreement.pairs(study(with_seeds(0.1)), PUBLISHED)
    rows = table.rows.set_index(["first", "second"])
    assert len(rows) == 6 and rows.loc[("rae", "flux2"), ["agreeing", "settings"]].tolist() == [2, 3]
    assert rows.loc[("sd", "flux1"), ["agreeing", "settings"]].tolist() == [5, 5]
    assert rows["ahead"].to_dict()[("sd", "flux1")] == pytest.approx(0.25)
    assert rows["verdict"].to_dict()[("sd", "flux1")] == "within noise"  # of 40 %
    assert rows["verdict"].to_dict()[("flux2", "sd")] == "holds"
    assert set(agreement.pairs(begun(), PUBLISHED).frame["verdict"]) == {"not measured"}


def test_predictors() -> None:
    rows = study(generation_rows())
    latents = rows.latents
    probe = latents.assign(metric="probe_accuracy", standard_error=0.01)
    both = StudyRows(
        "toy", rows.generation, rows.confirmed, rows.reconstruction, pandas.concat([latents, probe]), rows.losses
    )
    shown = agreement.predictors(both)
    assert set(shown.rows["metric"]) == {"ifd", "probe_accuracy"} and len(shown.rows) == 2 * len(BASE)
    assert shown.rows["distance"].tolist() == pytest.approx([0.4 * BASE[ae] for ae in shown.rows["ae"]])
    titles = [note.text for note in shown.figure.layout.annotations]
    assert titles == ["iFD ↓<br>τ 1.00", "probe accuracy ↑<br>τ −1.00"]
    nothing = StudyRows("toy", rows.generation, rows.confirmed, rows.reconstruction, latents.head(0), rows.losses)
    with pytest.raises(LrcoreError, match="no property of a latent space beside a distance"):
        agreement.predictors(nothing)


def test_differences_beside_the_noise() -> None:
    rows = with_seeds(0.1)
    shown = agreement.against_noise(study(rows))
    found = shown.rows.set_index(["kind", "ae"])["difference"]
    for ae in BASE:
        assert found["two seeds", ae] == pytest.approx(2 * 2**0.5 * 0.1 * 2**0.5)
        assert found["REPA", ae] == pytest.approx(0.2)
        assert found["train shift", ae] == pytest.approx(0.2) and found["sample shift", ae] == pytest.approx(1.0)
        assert found["training density", ae] == pytest.approx(0.5)
    assert found["next autoencoder"].to_dict() == pytest.approx({"rae": 1.0, "flux2": 1.0, "sd": 0.25})
    band = shown.figure.layout.shapes[0]
    assert band.x1 == pytest.approx(findings.noise_of_difference(rows)) == pytest.approx(0.4)
    assert "Noise that verdicts use: 40 %" in shown.alt


def test_without_two_seeds_there_is_no_band() -> None:
    shown = agreement.against_noise(study(generation_rows()))
    assert not shown.figure.layout.shapes and "not known" in shown.alt and "two seeds" not in set(shown.rows["kind"])
    one = begun()
    single = one.generation[one.generation["sampleshift"] == 1.0]
    with pytest.raises(LrcoreError, match="nothing to compare yet"):
        agreement.against_noise(study(single))


def test_spreads_beside_published() -> None:
    shown = agreement.spreads_beside_published(study(generation_rows()), PUBLISHED)
    rows = shown.rows.set_index(["parameter", "ae"])
    assert len(rows) == 12 and rows["here"]["trainshift"].to_dict() == pytest.approx(dict.fromkeys(BASE, 0.2))
    assert rows["published"]["trainshift"]["flux1"] == pytest.approx(0.8642)
    assert "train shift, FLUX.1: 86 % and 20 %" in shown.alt
    partly = agreement.spreads_beside_published(begun(), PUBLISHED).rows.set_index(["parameter", "ae"])["here"]
    assert partly["sampleshift"]["sd"] == pytest.approx(1.0) and partly.drop(("sampleshift", "sd")).isna().all()
    with pytest.raises(LrcoreError, match="no published relative spread"):
        agreement.spreads_beside_published(begun(), PUBLISHED.head(0))


def test_verdicts_in_words_counts_them() -> None:
    rows = study(with_seeds(0.01))
    verdicts = ["holds", "holds", "does not hold", "not measured"]
    found = [Claim(f"{number}", "", "", "", verdict) for number, verdict in enumerate(verdicts)]
    text = agreement_prose.verdicts_in_words({"toy": found}, {"toy": rows})
    assert text.startswith(
        "- Study `toy`: of 4 findings 2 hold, 1 does not hold, 1 is not measured. Autoencoders are compared at step 200"
    )
    assert (
        "over the 24 settings that all have. Another seed" in text
        and "by 1.4 % for FLUX.1" in text
        and "counts from 4 %" in text
    )
    assert "noise is not known" in agreement_prose.noise_in_words(study(generation_rows()))


def test_disagreements_quote_both_sides() -> None:
    text = agreement_prose.disagreements("toy", claims.judged(study(generation_rows()), PUBLISHED))
    assert "- **The train shift matters most: more than the density and the sample shift.** Published" in text
    assert "[@bfl2025representation]: training density 6.8 %" in text and "Here: training density 50 %" in text
    none = agreement_prose.disagreements("toy", claims.judged(begun(), PUBLISHED))
    assert none == (
        "The study `toy` contradicts no published finding by more than the noise of its seeds "
        f"({len(claims.CLAIMS)} of {len(claims.CLAIMS)} are not measured)."
    )


def test_published_agreement() -> None:
    text = agreement_prose.published_agreement(PUBLISHED)
    assert text.startswith("The 5 published settings make 10 pairs; in 8 of them")
    assert "The lowest rank correlation, 0.67, is between gFID of FLUX.2 representation comparison" in text
    guided = PUBLISHED["setting"].str.contains("best guidance")
    assert "lowest" not in agreement_prose.published_agreement(PUBLISHED[~guided])
    with pytest.raises(LrcoreError, match="no two published settings"):
        agreement_prose.published_agreement(PUBLISHED.head(0))


def test_order_in_words() -> None:
    text = agreement_prose.order_in_words(study(with_seeds(0.1)), PUBLISHED)
    assert "in the order RAE, FLUX.2, SD, FLUX.1, from the most to the least learnable: that of 4 of 5" in text
    assert "at rank correlations of 0.67 to 1.00." in text
    assert text.endswith("Of its 3 steps from one autoencoder to the next 2 exceed the noise of the seed.")
    assert agreement_prose.order_in_words(study(generation_rows()), PUBLISHED).endswith("0.67 to 1.00.")
    three = agreement_prose.order_in_words(study(without(ae="rae")), PUBLISHED)
    assert "that of 3 of 3 published settings, at rank correlations of 1.00." in three
    alone = PUBLISHED[PUBLISHED["source"] == "xu2026ifid"]
    assert "no published setting has enough" in agreement_prose.order_in_words(study(without(ae="rae")), alone)
    assert "too few for an order" in agreement_prose.order_in_words(begun(), PUBLISHED)


def test_predictors_in_words() -> None:
    text = agreement_prose.predictors_in_words(study(generation_rows()))
    assert "1 of 1 properties have the order of learnability: iFD. Of 4 autoencoders 1 order in 24" in text
    assert "so 0.04167 agreements" in text
    assert "too few autoencoders" in agreement_prose.predictors_in_words(begun())


def test_samples_in_words() -> None:
    text = agreement_prose.samples_in_words(study(generation_rows()))
    assert "after 200 steps of DiT-Toy, 60 % of the samples" in text and "30 % of the real images among the 64" in text
    assert text.endswith("(recall).")
    again = confirmed(study(generation_rows()), rae=120.5, sd=180.0)
    assert agreement_prose.samples_in_words(again).endswith(
        "Measured once more over 2,000 samples, the autoencoders' best settings have an FID of 120.5 to 180."
    )


@pytest.mark.parametrize(
    "draw", [agreement.against_noise, agreement.predictors, lambda rows: agreement.ranks(rows, PUBLISHED)]
)
def test_two_protocols_and_no_rows_are_refused(draw) -> None:  # type: ignore[no-untyped-def]
    mixed = pandas.concat([generation_rows(), generation_rows("inception2015")])
    with pytest.raises(LrcoreError, match="cannot be compared"):
        draw(study(mixed))
    with pytest.raises(LrcoreError, match="no rows"):
        draw(study(generation_rows().head(0)))


def test_diverged_and_missing_autoencoders_do_not_stop_the_page() -> None:
    for rows in (diverged(generation_rows(), ae="rae"), without(ae="rae"), without(ae="rae", step=200)):
        some = study(rows)
        found = claims.judged(some, PUBLISHED)
        for shown in (
            agreement.claims_table("toy", found),
            agreement.ranks(some, PUBLISHED),
            agreement.rank_correlations(some, PUBLISHED),
            agreement.pairs(some, PUBLISHED),
            agreement.predictors(some),
            agreement.against_noise(some),
            agreement.spreads_beside_published(some, PUBLISHED),
        ):
            assert shown.markup
        assert agreement_prose.order_in_words(some, PUBLISHED) and agreement_prose.samples_in_words(some)
