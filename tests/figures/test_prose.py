"""lrcore.figures.prose: every number in a sentence comes from the rows."""

from __future__ import annotations

import dataclasses

import pandas
import pytest
from figure_rows import diverged, generation_rows, published_rows, study, two_networks, with_choice, with_seeds

from lrcore.errors import LrcoreError
from lrcore.figures import prose
from lrcore.results import naming


def test_protocol() -> None:
    text = prose.protocol(generation_rows())
    assert "48 training runs of DiT-Toy on toy at 32 px and 192 evaluations, of which none diverged" in text
    assert "64 samples" in text and "20 steps" in text and "1,024 images of `toy/train`" in text
    assert "**FD (EfficientNet-Lite0)**. It is not FID" in text
    assert "It is not FID" not in prose.protocol(generation_rows("inception2015"))
    assert "of which 96 diverged" in prose.protocol(diverged(generation_rows(), step=200))
    with pytest.raises(LrcoreError, match="cannot be compared"):
        prose.protocol(two_networks())


def test_best_of_study() -> None:
    text = prose.best_of_study(generation_rows())
    assert text.startswith(
        "Study `toy`, FD (EfficientNet-Lite0) of 64 samples, the best of the 24 settings that all autoencoders share, "
        "lowest first: RAE (4.00; ln, train shift 1.78, sample shift 1.00, with REPA, step 200), FLUX.2 (8.00;"
    )
    by_kid = prose.best_of_study(generation_rows().assign(score="kid"))
    assert "KD × 1000 (EfficientNet-Lite0) of" in by_kid and "RAE (4.00;" in by_kid  # the distance that decides
    with pytest.raises(LrcoreError, match="every run diverged"):
        prose.best_of_study(diverged(generation_rows(), study="toy"))


def test_the_settings_of_many_stay_in_the_table() -> None:
    text = prose.best_of_study(generation_rows(aes=tuple(naming.AES)))
    assert "lowest first: RAE (4.00), FLUX.2 (8.00), " in text and text.endswith(").") and "train shift" not in text


def test_by_which_distance_a_study_goes() -> None:
    assert prose.decided_by(generation_rows("inception2015")) == (
        "Study `toy` goes by the FID of 64 samples: compare its distances with one another only."
    )
    assert prose.decided_by(generation_rows("inception2015").assign(score="kid")) == (
        "Study `toy` goes by the KID × 1000 of 64 samples."
    )


def test_what_was_measured_beside_the_grid() -> None:
    rows = study(generation_rows())
    assert prose.measured_again(rows) == ""
    more = dataclasses.replace(with_choice(with_choice(rows), 256), widths=rows.generation.head(3).assign(width=64.0))
    assert prose.measured_again(more) == (
        "Beside these the study `toy` measured the settings that it chose, and what else was tried there, by 128 and "
        "256 new samples (seed 1) in 24 evaluations; and transformers of width 64 in 3 evaluations, kept apart."
    )


def test_redundancy_is_held_against_the_best_shifts() -> None:
    rows = study(generation_rows())
    shift = {"sd": 1.0, "flux1": 1.0, "flux2": 1.78, "rae": 1.78}
    far = rows.generation["trainshift"] != rows.generation["ae"].map(shift)
    moved = dataclasses.replace(rows, generation=rows.generation.assign(fid=rows.generation["fid"] * (1 + 9 * far)))
    own = rows.latents.drop_duplicates("ae")
    shares = {"sd": 0.9, "flux1": 0.8, "flux2": 0.2, "rae": 0.1}
    values = own["ae"].map(shares) * own["ae"].map(rows.channels)
    filled = dataclasses.replace(moved, latents=own.assign(metric="effective_dimension", index=-1, value=values))
    said = prose.redundancy(filled)
    assert "is 0.90 for SD, 0.80 for FLUX.1, 0.20 for FLUX.2, 0.10 for RAE" in said
    assert (
        "rank correlation (Kendall's τ) of 0.82 with redundancy, the inverse, over the 4 autoencoders "
        "whose best is known" in said
    )
    assert prose.redundancy(dataclasses.replace(filled, latents=own.head(0))) == ""
    few = filled.generation[~(filled.generation["ae"].isin(("sd", "rae")) & (filled.generation["trainshift"] == 1.78))]
    assert prose.redundancy(dataclasses.replace(filled, generation=few)) == ""  # of two alone all shifts were tried


def test_choices_that_not_all_were_tried_with_are_named() -> None:
    rows = generation_rows()
    assert prose.choices_of_own(study(rows)) == ""
    assert prose.choices_of_own(with_choice(study(rows))) == (
        "Study `toy` measured the chosen setting of each anew, and compares by these."
    )
    # 3.00, which RAE alone was tried with, is its best
    own = rows[(rows["ae"] == "rae") & (rows["trainshift"] == 1.0)].assign(trainshift=3.0)
    more = pandas.concat([rows, own.assign(fid=own["fid"] / 9)])
    assert prose.choices_of_own(with_choice(study(more))).endswith(
        " RAE's (train shift 3.00) is one that not all were tried with."
    )


def test_repa_is_held_against_the_noise() -> None:
    rows, published = generation_rows(), published_rows()
    assert prose.repa_in_words({"toy": study(rows)}, published) == (
        "In study `toy` it changes the FD by −20 % (FLUX.1) to −20 % (SD); the noise of the seed is not known."
    )
    assert prose.repa_in_words({"toy": study(rows[rows["repa"] == "none"])}, published) == ""
    quiet = study(with_seeds(0.001))
    assert prose.repa_in_words({"toy": quiet}, published).endswith("; all 4 changes exceed the noise of the seed.")
    loud = study(with_seeds(0.5))
    assert prose.repa_in_words({"toy": loud}, published).endswith(
        "; none of the 4 changes exceeds the noise of the seed."
    )


def test_what_was_learned_without_outside_features() -> None:
    rows, published = generation_rows(), published_rows()
    none = "No study here has trainings with REPA towards itself yet."
    assert prose.learned_from_itself({"toy": study(rows)}, published) == none
    own = rows[rows["repa"] != "none"].assign(repa="self", fid=0.5 * rows["fid"])
    both = study(pandas.concat([rows, own]))
    assert prose.learned_from_itself({"toy": both}, published) == (
        "In study `toy` REPA changes the FD (EfficientNet-Lite0), by the median of pairs: towards itself SD −60 %, "
        "FLUX.1 −60 %, FLUX.2 −60 %, RAE −60 %; towards an encoder SD −20 %, FLUX.1 −20 %, FLUX.2 −20 %, RAE −20 %."
    )
    alone = study(pandas.concat([rows[rows["repa"] == "none"], own[own["ae"] == "sd"]]))
    said = prose.learned_from_itself({"a": study(rows), "toy": alone}, published)
    assert said.endswith("towards itself SD −60 %.") and "encoder" not in said
