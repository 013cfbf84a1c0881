"""lrcore.figures.agreement_prose: words follow the rows."""

from __future__ import annotations

import dataclasses

import pytest
from figure_rows import BASE, begun, generation_rows, published_rows, study, with_choice, with_seeds, without

from lrcore.errors import LrcoreError
from lrcore.figures import agreement_prose
from lrcore.results import claims
from lrcore.results.claim_parts import Claim

PUBLISHED = published_rows()


def test_verdicts_in_words_counts_them_and_names_what_is_decided() -> None:
    rows = study(with_seeds(0.01))
    verdicts = ["holds", "holds", "does not hold", "incomplete"]
    found = [Claim(f"Finding {number}.", "", "", "", verdict) for number, verdict in enumerate(verdicts)]
    text = agreement_prose.verdicts_in_words({"toy": found}, {"toy": rows})
    *lines, how = text.splitlines()
    assert lines == [
        "- Study `toy`: of 4 findings, 2 hold, 1 does not hold and 1 is incomplete.",
        "    - **Holds:** “Finding 0”; “Finding 1”.",
        "    - **Does not hold:** “Finding 2”.",
    ]
    assert how.startswith("    - Autoencoders are compared at step 200")
    brief = agreement_prose.verdicts_in_words({"toy": found}, {"toy": rows}, with_noise=False)
    assert brief.splitlines() == lines
    but = dataclasses.replace(found[0], but="another way")
    assert "“Finding 0” (but another way)." in agreement_prose.verdicts_in_words({"toy": [but]}, {"toy": rows})
    guess = dataclasses.replace(found[0], hypothesis=True)
    text_of_guess = agreement_prose.verdicts_in_words({"toy": [*found, guess]}, {"toy": rows})
    assert text_of_guess.startswith("- Study `toy`: of 4 findings (1 hypothesis not counted), 2 hold")
    assert (
        "by the best of the 24 settings that all autoencoders share. Another seed" in text
        and "by 1.4 % for FLUX.1" in text
        and "two trainings counts from 4.3 %, and one between autoencoders, which are means of 2 trainings, from 3 %."
        in text
    )
    few = with_seeds(0.01).query("ae == 'sd' and trainp == 'ln'")
    assert "rests on 4 degrees of freedom alone. No difference counts" in agreement_prose.noise_in_words(study(few))
    assert "noise is not known" in agreement_prose.noise_in_words(study(generation_rows()))


def test_a_band_is_spoken_of_where_one_is_drawn() -> None:
    without_seeds, with_two = study(generation_rows()), study(with_seeds(0.01))
    assert "grey band" not in agreement_prose.band_in_words([without_seeds])
    assert "grey band, drawn for study `toy`." in agreement_prose.band_in_words([without_seeds, with_two])
    assert "the studies `toy` and `toy`" in agreement_prose.band_in_words([with_two, with_two])


def test_disagreements_quote_both_sides() -> None:
    text = agreement_prose.disagreements("toy", claims.judged(study(generation_rows()), PUBLISHED))
    assert text.startswith("In study `toy`, these published findings point the other way; no setting has two seeds, so")
    assert "- **The train shift matters most: more than the density and the sample shift.** Published" in text
    assert "[@bfl2025representation]: training density 6.8 %" in text and "Here: training density 50 %" in text
    none = agreement_prose.disagreements("toy", claims.judged(begun(), PUBLISHED))
    assert none == (
        f"Study `toy` contradicts no published finding (of {len(claims.CLAIMS) - 2} findings, 9 are incomplete and 7 "
        "have no rows yet)."
    )


def test_published_agreement() -> None:
    text = agreement_prose.published_agreement(PUBLISHED)
    assert text.startswith(
        "The 5 published settings rank the autoencoders that they share in the same order in 8 of 10 pairs"
    )
    assert "between two settings is 0.67: FLUX.2 representation comparison, gFID (DiT-XL" in text
    guided = PUBLISHED["setting"].str.contains("best guidance")
    assert "lowest" not in agreement_prose.published_agreement(PUBLISHED[~guided])
    with pytest.raises(LrcoreError, match="no two published settings"):
        agreement_prose.published_agreement(PUBLISHED.head(0))


def test_order_in_words() -> None:
    text = agreement_prose.order_in_words(study(with_seeds(0.1)), PUBLISHED)
    assert (
        "in the order RAE, FLUX.2, SD, FLUX.1, from the most to the least learnable. 4 of 5 published settings have"
        in text
    )
    assert "have the shared autoencoders in this order; rank correlations (Kendall's τ) are 0.67 to 1.00." in text
    assert text.endswith("2 of 3 steps from one autoencoder to the next exceed the noise of the seed.")
    assert agreement_prose.order_in_words(study(generation_rows()), PUBLISHED).endswith("0.67 to 1.00.")
    three = agreement_prose.order_in_words(study(without(ae="rae")), PUBLISHED)
    assert (
        "All 3 published settings have the shared autoencoders in this order; rank correlations (Kendall's τ) are 1.00."
        in three
    )
    alone = PUBLISHED[PUBLISHED["source"] == "xu2026ifid"]
    assert "No published setting has enough" in agreement_prose.order_in_words(study(without(ae="rae")), alone)
    assert "too few for an order" in agreement_prose.order_in_words(begun(), PUBLISHED)


def test_predictors_in_words() -> None:
    text = agreement_prose.predictors_in_words(study(generation_rows()))
    assert "the one property has the order of learnability: iFD. With 4 autoencoders, one order in 24" in text
    assert "So of one property, chance alone makes 0.042 agree on average" in text
    reverse = agreement_prose.predictors_in_words(study(generation_rows(), {ae: -base for ae, base in BASE.items()}))
    assert "none of 1 property has the order of learnability; iFD has exactly the reverse." in reverse
    assert "too few autoencoders" in agreement_prose.predictors_in_words(begun())


def test_verdicts_name_what_the_transformer_is_too_narrow_for() -> None:
    rows = study(generation_rows().assign(width=64.0))
    text = agreement_prose.verdicts_in_words({"toy": claims.judged(rows, PUBLISHED)}, {"toy": rows})
    assert "RAE (width 64, 112 channels)" in text
    wide = study(generation_rows())
    assert "Narrower" not in agreement_prose.verdicts_in_words({"toy": claims.judged(wide, PUBLISHED)}, {"toy": wide})


def test_samples_in_words() -> None:
    text = agreement_prose.samples_in_words(study(generation_rows()))
    assert (
        "after 200 steps of DiT-Toy, 60 % of the samples" in text and "30 % of the real images lie among the 64" in text
    )
    assert text.endswith("(recall), at the best of the 24 settings that all autoencoders share.")
    again = with_choice(study(generation_rows("inception2015")), 2000)
    assert agreement_prose.samples_in_words(again).endswith(
        "Measured once more with 2,000 samples, the best settings of the autoencoders have FID of 5.5 to 27.5."
    )
