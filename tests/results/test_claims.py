"""Claims and verdicts: each claim on rows that bear it out, that refute it, and that cannot tell."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pandas
import pytest
from figure_rows import (
    BASE,
    EVERY_AE,
    generation_rows,
    published_rows,
    study,
    with_choice,
    without,
)

from lrcore.errors import LrcoreError
from lrcore.results import claims, evidence, order_claims, verdicts
from lrcore.results.claim_parts import Claim
from lrcore.results.evidence import Evidence


def given(generation: pandas.DataFrame | None = None, noise: float = 0.05, **latents: float) -> Evidence:
    rows = generation_rows() if generation is None else generation
    found = evidence.evidence(study(rows, latents or None), published_rows())
    return dataclasses.replace(found, noise=noise, noise_of_best=noise)


def scaled(factor: float, **where: object) -> pandas.DataFrame:
    """The rows of the whole grid, those that have all the given values multiplied by `factor`."""
    rows = generation_rows()
    hit = (rows[list(where)] == pandas.Series(where)).all(axis=1)
    assert hit.any()
    return rows.assign(fid=rows["fid"].mask(hit, rows["fid"] * factor))


def moved(parameter: str, best: dict[str, float]) -> pandas.DataFrame:
    """Rows in which each autoencoder does best, by far, at the named value of a shift: 1.00 or 1.78."""
    rows = generation_rows()
    far = rows[parameter] != rows["ae"].map(best)
    return rows.assign(fid=(rows["ae"].map(BASE) * rows["trainp"].map({"ts": 1.5, "ln": 1.0, "pln": 1.1})) * (1 + far))


def test_the_evidence_is_of_the_last_common_step_and_of_one_protocol() -> None:
    found = evidence.evidence(study(without(ae="rae", step=200)), published_rows())
    assert set(found.settings["step"]) == {100} and found.aes == list(EVERY_AE) and math.isnan(found.noise)
    assert found.label == "FD (EfficientNet-Lite0)"
    with pytest.raises(LrcoreError, match="cannot be compared"):
        evidence.evidence(study(pandas.concat([generation_rows(), generation_rows("inception2015")])), published_rows())


def test_every_claim_is_judged_and_cites_a_work() -> None:
    found = claims.judged(study(generation_rows()), published_rows())
    assert len(found) == len(claims.CLAIMS) and {claim.verdict for claim in found} <= set(verdicts.VERDICTS)
    assert len({claim.claim for claim in found}) == len(found)
    assert all(claim.published and claim.here for claim in found)
    frame = claims.as_frame(found)
    assert list(frame) == ["claim", "source", "published", "here", "verdict", "caution", "but", "hypothesis"] and len(
        frame
    ) == len(found)


def test_nothing_holds_of_a_study_that_has_hardly_begun() -> None:
    rows = generation_rows(aes=("sd",)).query(
        "trainp == 'ln' and trainshift == 1 and sampleshift == 1 and repa == 'none'"
    )
    found = claims.judged(study(rows), published_rows())
    assert {claim.verdict for claim in found} == {"no rows yet", "incomplete"}
    assert any("no rows yet of FLUX.1, FLUX.2, RAE" in claim.here for claim in found)


def test_order_of_learnability() -> None:
    found = order_claims.order_of_learnability(given())
    assert found.claim == "The order from the most to the least learnable is RAE, FLUX.2, SD, FLUX.1."
    assert found.verdict == "holds" and "rank correlation 1.00 over 4 autoencoders (24 orders" in found.here
    assert found.published == "gFID RAE 3.10, FLUX.2 3.70, SD 7.73, FLUX.1 10.13"
    assert order_claims.order_of_learnability(given(scaled(10, ae="rae"))).verdict == "does not hold"
    without = "; without FLUX.2, which is aligned with an encoder as RAE is made of one: "
    assert found.here.endswith(f"{without}holds")
    worse = order_claims.order_of_learnability(given(scaled(10, ae="flux2")))
    assert worse.verdict == "does not hold" and worse.here.endswith(f"{without}holds")
    # SD is 20 % before FLUX.1
    assert order_claims.order_of_learnability(given(noise=0.3)).verdict == "within noise"
    assert order_claims.order_of_learnability(given(noise=0.2)).verdict == "holds"
    assert (
        order_claims.order_of_learnability(given(generation_rows(aes=("sd", "flux1", "rae")))).verdict == "incomplete"
    )


@pytest.mark.parametrize(
    ("claim", "ae"),
    [
        (order_claims.flux2_against_sd, "flux2"),
        (order_claims.flux1_against_sd, "flux1"),
        (order_claims.rae_against_sd, "rae"),
    ],
)
def test_against_sd(claim: Callable[[Evidence], Claim], ae: str) -> None:
    assert claim(given()).verdict == "holds"
    turned = BASE["sd"] ** 2 / BASE[ae] ** 2  # as much worse as it was better
    assert claim(given(scaled(turned, ae=ae))).verdict == "does not hold"
    assert claim(given(scaled(1.01 * BASE["sd"] / BASE[ae], ae=ae))).verdict == "within noise"
    assert claim(given(generation_rows(aes=("sd",)))).verdict == "incomplete"
    evidence = given()
    worse = evidence.reconstruction["value"].mask(
        evidence.reconstruction["ae"] == ae, evidence.reconstruction["value"] * 9
    )
    blurred = dataclasses.replace(evidence, reconstruction=evidence.reconstruction.assign(value=worse))
    assert claim(blurred).verdict == ("holds" if ae == "rae" else "does not hold")


def test_against_sd_gives_both_changes() -> None:
    found = order_claims.flux2_against_sd(given())
    assert found.published == "gFID −52 %, LPIPS −72 %"
    assert found.here == "FD (EfficientNet-Lite0) −50 %, LPIPS (VGG) −73 %"
    # where the kernel distance decides, the Fréchet distance of the same samples stands beside it
    rows = generation_rows()
    by_kid = given(rows.assign(score="kid", kid=rows["fid"] / 1000, fid=100.0))
    assert "−50 %, Fréchet distance +0 %, LPIPS" in order_claims.flux2_against_sd(by_kid).here
    assert order_claims.flux2_against_sd(by_kid).but == ""
    away = given(rows.assign(score="kid", kid=rows["fid"] / 1000, fid=1000 / rows["fid"]))
    assert order_claims.flux2_against_sd(away).but == "the Fréchet distance goes the other way"


def test_fidelity_is_compared_with_the_error_over_images() -> None:
    evidence = given()
    unsure = evidence.reconstruction.assign(standard_error=0.2)
    assert order_claims.flux2_against_sd(dataclasses.replace(evidence, reconstruction=unsure)).verdict == "within noise"


def test_best_density() -> None:
    found = claims.best_density(given())
    assert found.verdict == "holds" and found.published == "ts is best in 0 % of cases"
    assert found.here == "ts is behind in all 8 comparisons, by +50 %"
    assert claims.best_density(given(scaled(0.5, trainp="ts", ae="sd"))).verdict == "does not hold"
    assert claims.best_density(given(scaled(0.66, trainp="ts", ae="sd"))).verdict == "within noise"
    lacking = claims.best_density(given(without(trainp="ts", ae="sd")))
    assert lacking.verdict == "incomplete" and lacking.here == (
        "ts is behind in all 6 comparisons, by +50 %; not known of SD"
    )
    untried = claims.best_density(given(without(trainp="ts")))
    assert untried.verdict == "no rows yet" and untried.here.startswith("ts, and ln or pln, were not tried")
    alone = claims.best_density(given(generation_rows().query("trainp == 'ln'")))
    assert alone.verdict == "no rows yet" and alone.here == "only the density ln was tried"


def test_the_density_is_compared_at_settings_that_all_densities_have() -> None:
    """ts, measured at the worse train shift alone, is not held against the others at their better one."""
    rows = scaled(0.6, trainp="ts")
    rows = rows[~((rows["trainp"] == "ts") & (rows["trainshift"] == 1.78))]
    assert claims.best_density(given(rows)).verdict == "does not hold"


def test_train_shift_grows() -> None:
    grows = {"sd": 1.0, "flux1": 1.0, "flux2": 1.78, "rae": 1.78}
    found = claims.train_shift_grows(given(moved("trainshift", grows)))
    assert found.verdict == "holds" and "1.00 for SD, 1.00 for FLUX.1, 1.78 for FLUX.2, 1.78 for RAE" in found.here
    assert "rank correlation with channels 0.82" in found.here and "4.63 for FLUX.2" in found.published
    falls = dict(zip(EVERY_AE, reversed(grows.values()), strict=True))
    assert claims.train_shift_grows(given(moved("trainshift", falls))).verdict == "does not hold"
    assert claims.train_shift_grows(given(moved("trainshift", dict.fromkeys(EVERY_AE, 1.0)))).verdict == "does not hold"
    # of two shifts a factor of two apart, noise of more than that tells none
    unsure = claims.train_shift_grows(given(moved("trainshift", grows), noise=1.5))
    assert unsure.verdict == "within noise" and "1.00 or 1.78 for SD" in unsure.here
    assert claims.train_shift_grows(given(without(ae="rae", trainshift=1.0))).verdict == "incomplete"


def test_the_best_of_fewer_values_than_others_were_tried_with_is_not_called_the_best() -> None:
    rows = moved("trainshift", {"sd": 1.0, "flux1": 1.0, "flux2": 1.78, "rae": 1.78})
    further = rows[rows["trainshift"] == 1.78].assign(trainshift=4.63, fid=lambda more: more["fid"] * 2)
    further = further[further["ae"] != "rae"]
    found = claims.train_shift_grows(given(pandas.concat([rows, further])))
    assert found.verdict == "incomplete" and "for RAE" not in found.here
    assert "1.78 for FLUX.2" in found.here and found.here.endswith("; not known of RAE")


def test_predicted_shifts() -> None:
    """Of 1.00 and 1.78 the nearest to sqrt(channels / 4) is 1.00 for SD and 1.78 for the wider ones."""
    wanted = {"sd": 1.0, "flux1": 1.78, "flux2": 1.78, "rae": 1.78}
    for parameter, claim in (
        ("trainshift", claims.train_shift_predicted),
        ("sampleshift", claims.sample_shift_predicted),
    ):
        found = claim(given(moved(parameter, wanted)))
        assert found.verdict == "holds" and "best in all 8 cases" in found.here
        assert "1.00 for SD, 2.00 for FLUX.1, 2.83 for FLUX.2, 5.29 for RAE" in found.here
        assert claim(given(moved(parameter, {**wanted, "rae": 1.0}))).verdict == "does not hold"
        assert claim(given(moved(parameter, wanted), noise=1.5)).verdict == "within noise"


def test_sample_shift_of_wide_latents() -> None:
    wide = {"sd": 1.0, "flux1": 1.0, "flux2": 1.78, "rae": 1.78}
    assert claims.sample_shift_of_wide_latents(given(moved("sampleshift", wide))).verdict == "holds"
    narrow = {**wide, "flux2": 1.0}
    assert claims.sample_shift_of_wide_latents(given(moved("sampleshift", narrow))).verdict == "does not hold"
    assert claims.sample_shift_of_wide_latents(given(noise=2.0)).verdict == "within noise"
    assert claims.sample_shift_of_wide_latents(given(without(ae="sd"))).verdict == "incomplete"


def test_train_shift_matters_most() -> None:
    """Worst over best: densities 1.5, train shifts 1.2, sample shifts 2 by construction."""
    assert claims.train_shift_matters_most(given()).verdict == "does not hold"
    found = claims.train_shift_matters_most(given(scaled(3.0, trainshift=1.0)))
    assert found.verdict == "holds" and "; train shift 260 %" in found.here
    assert claims.train_shift_matters_most(given(scaled(3.0, trainshift=1.0), noise=0.9)).verdict == "within noise"
    some = without(ae="rae", trainp="ts")
    some = some[~((some["ae"] == "rae") & (some["trainp"] == "pln"))]
    partly = claims.train_shift_matters_most(given(some))
    assert partly.verdict == "incomplete" and "train shift 20 %" in partly.here  # as the figure has it
    assert "no rows" not in partly.here


def test_repa_helps() -> None:
    found = claims.repa_helps(given())
    assert found.verdict == "holds" and "RAE −20 % (median of 12 pairs)" in found.here
    assert found.published == "no value quoted here" and found.source == "yu2025repa"
    harmed = given(scaled(2.0, ae="flux1", repa="efficientnet_lite0"))
    assert claims.repa_helps(harmed).verdict == "does not hold"
    assert claims.repa_helps(given(noise=0.3)).verdict == "within noise"
    assert claims.repa_helps(given(without(ae="flux1", repa="efficientnet_lite0"))).verdict == "incomplete"


def test_interpolation_orders() -> None:
    found = order_claims.interpolation_orders(given())
    assert found.verdict == "holds" and "iFD RAE 10.0, FLUX.2 20.0, SD 40.0, FLUX.1 50.0" in found.here
    assert found.published.startswith("rank correlation 1.00 over 3 autoencoders: iFID RAE 7.68")
    assert order_claims.interpolation_orders(given(sd=1, flux1=2, flux2=3, rae=4)).verdict == "does not hold"
    assert order_claims.interpolation_orders(given(noise=0.3)).verdict == "within noise"
    assert order_claims.interpolation_orders(given(sd=1, rae=2)).verdict == "incomplete"


def test_the_protocol_of_its_authors_decides_on_interpolation() -> None:
    lines = given()
    circles = lines.latents[lines.latents["metric"] == "ifd"].assign(metric="ifd_great_circle")
    reversed_ = circles.assign(value=-circles["value"])
    both = dataclasses.replace(lines, latents=pandas.concat([lines.latents, reversed_]))
    found = order_claims.interpolation_orders(both)
    assert found.verdict == "does not hold" and "iFD on great circles FLUX.1" in found.here
    assert found.but == "by iFD: holds" and order_claims.interpolation_orders(lines).but == ""
    few = dataclasses.replace(lines, latents=pandas.concat([lines.latents, reversed_[reversed_["ae"] != "sd"]]))
    assert order_claims.interpolation_orders(few).verdict == "holds"  # by straight lines, of which there are more


def test_where_no_noise_was_measured_the_sign_says_which_way_it_points() -> None:
    nearly = scaled(1.2499, repa="efficientnet_lite0")
    assert claims.repa_helps(given(nearly, noise=math.nan)).verdict == "points the same way"
    assert claims.repa_helps(given(scaled(2.0, repa="efficientnet_lite0"), noise=math.nan)).verdict == (
        "points the other way"
    )
    grows = {"sd": 1.0, "flux1": 1.0, "flux2": 1.78, "rae": 1.78}
    assert claims.train_shift_grows(given(moved("trainshift", grows), noise=math.nan)).verdict == "points the same way"
    assert claims.repa_helps(given(nearly, noise=math.inf)).verdict == "within noise"
    assert claims.repa_helps(given(scaled(1.2499, repa="efficientnet_lite0"))).verdict == "within noise"


def test_a_missing_published_figure_is_named() -> None:
    rows = published_rows()
    with pytest.raises(LrcoreError, match="no published best_trainp_is_ts of bfl2025representation"):
        claims.judged(study(generation_rows()), rows[rows["quantity"] != "best_trainp_is_ts"])


def test_an_unknown_verdict_is_refused() -> None:
    with pytest.raises(LrcoreError, match=r"unknown verdict 'hold'; allowed: holds.*did you mean 'holds'"):
        verdicts.overall(["hold"])


def test_the_weakest_verdict_is_that_of_the_whole() -> None:
    weakest = ["incomplete", "confounded", "does not hold", "points the other way", "within noise", "holds"]
    assert verdicts.overall(["no rows yet"]) == "no rows yet"
    for place, verdict in enumerate(weakest):
        assert verdicts.overall(reversed(weakest[place:])) == verdict


def test_choices_that_noise_does_not_tell_apart() -> None:
    same = [[1.0], [1.0, 2.0]]
    assert verdicts.verdict_on_choices(same, lambda values: values[1] >= values[0]) == "holds"
    assert verdicts.verdict_on_choices(same, lambda values: values[1] > values[0]) == "within noise"
    assert verdicts.verdict_on_choices(same, lambda values: values[1] < values[0]) == "does not hold"


def test_what_was_measured_anew_decides() -> None:
    rows = with_choice(study(generation_rows()))
    reverse = {ae: 1 / base for ae, base in BASE.items()}
    again = rows.confirmed.assign(fid=rows.confirmed["ae"].map(reverse) * (1 + 0.01 * rows.confirmed["train_seed"]))
    found = evidence.evidence(dataclasses.replace(rows, confirmed=again), published_rows())
    assert found.distances(["sd", "rae"]) == pytest.approx({"sd": 1.01 / 40, "rae": 1.01 / 10})
    assert order_claims.order_of_learnability(found).verdict == "does not hold"
    # of 128 samples, and the grid has 64
    assert math.log1p(found.noise) == pytest.approx(2.306 * 0.01 / 1.01 * 2**0.5 * 2**0.5, rel=0.01)
    assert math.log1p(found.noise_of_best) == pytest.approx(2.306 * 0.01 / 1.01 * (2 / 3) ** 0.5, rel=0.01)
    some = evidence.evidence(dataclasses.replace(rows, confirmed=again[again["ae"] != "sd"]), published_rows())
    assert some.distances(["sd"]) == pytest.approx({"sd": 40 * 0.8 * 0.5})


def test_densities_and_repa_are_looked_for_at_the_choice_where_the_grid_has_none() -> None:
    grid = generation_rows().query("trainp == 'ln' and repa == 'none'")
    rows = with_choice(study(grid))
    assert claims.repa_helps(evidence.evidence(rows, published_rows())).verdict == "no rows yet"
    plain = rows.confirmed
    arms = [plain.assign(trainp="ts", fid=2 * plain["fid"]), plain.assign(trainp="pln")]
    arms += [plain.assign(repa="efficientnet_lite0", fid=plain["fid"] / 2)]
    tried = dataclasses.replace(rows, confirmed=pandas.concat([plain, *arms], ignore_index=True))
    found = evidence.evidence(tried, published_rows())
    assert claims.repa_helps(found).verdict == "holds" and claims.best_density(found).verdict == "holds"


def test_a_transformer_that_is_too_narrow_confounds_what_rests_on_its_autoencoder() -> None:
    inception = generation_rows("inception2015")
    found = claims.judged(study(inception.assign(width=64.0)), published_rows())
    without = {claim.claim for claim in found if not claim.caution}
    assert without == {
        "FLUX.2 is more learnable than SD and more faithful.", "FLUX.1 is more faithful than SD and less learnable.",
        # of which there are no rows that could be confounded
        "ln with REPA beats RAE's own setting, ts at shifts of 6.93.",
        "FLUX.2 comes nearer to RAE's own setting than SD and FLUX.1 do.",
        "Learning without an outside network does as well or better: REPA towards the model itself.",
    }  # fmt: skip
    assert all("RAE (width 64, 112 channels)" in claim.caution for claim in found if claim.caution)
    assert {claim.verdict for claim in found if claim.caution} == {"confounded"}
    assert not any(claim.caution for claim in claims.judged(study(inception), published_rows()))


def test_distances_in_an_encoders_features_confound_what_was_shown_them() -> None:
    found = {claim.claim[:9]: claim for claim in claims.judged(study(generation_rows()), published_rows())}
    assert found["FLUX.2 is"].verdict == found["REPA make"].verdict == "confounded"
    assert found["FLUX.2 is"].caution.startswith("Distances are in the features of EfficientNet-Lite0, an encoder")
    assert found["FLUX.1 is"].verdict != "confounded" and not found["FLUX.1 is"].caution


def test_published_findings_are_asked_of_the_relatives_of_published_autoencoders() -> None:
    mine = generation_rows(aes=("mine",)).query("trainp == 'ln'")  # would be no whole comparison
    rows = study(pandas.concat([generation_rows(), mine], ignore_index=True))
    more = rows.reconstruction[rows.reconstruction["ae"] == "sd"].assign(ae="mine")
    both = dataclasses.replace(rows, reconstruction=pandas.concat([rows.reconstruction, more]))
    found = evidence.evidence(both, published_rows())
    assert found.aes == list(EVERY_AE) and set(found.settings["ae"]) == set(EVERY_AE)
    assert claims.best_density(found).verdict == "points the same way"
    alone = dataclasses.replace(rows, generation=mine, reconstruction=more)
    assert evidence.evidence(alone, published_rows()).aes == ["mine"]
