"""lrcore.figures.learnability: marks and words against the rows."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pandas
import pytest
import sample_data
from figure_rows import BASE, generation_rows, study, with_choice

from lrcore.errors import LrcoreError
from lrcore.figures import labels, share_tradeoff
from lrcore.figures.learnability import (
    apart_from_decoder,
    best_and_least,
    floors_in_words,
    gaussians_in_words,
    has_shares,
    learned_in_words,
)
from lrcore.results.study_rows import StudyRows, load_studies


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> StudyRows:
    folder = tmp_path_factory.mktemp("learned")
    sample_data.fill(folder / "data", folder / "imgs")
    return load_studies(folder / "data")["cifar10-cpu"]


def test_marks_are_the_shares() -> None:
    shares = apart_from_decoder(study(generation_rows())).choices["share learned"]
    expected = {ae: 1 - (base / 2 - 2) / 250 for ae, base in BASE.items()}
    sd = [trace for trace in shares.figure.data if trace.name == "SD"]
    assert [trace.x[0] for trace in sd] == pytest.approx([expected["sd"]] * 3)  # its training, and the mean by both
    assert shares.words.title == "RAE is learned best apart from its decoder, FLUX.1 least"
    assert list(shares.figure.layout.yaxis.categoryarray) == ["RAE", "FLUX.2", "SD", "FLUX.1"]
    assert "RAE (G 0.99); FLUX.2 (G 0.97); SD (G 0.93); FLUX.1 (G 0.91)" in shares.alt
    assert set(shares.rows["ae"]) == set(BASE)


def test_samples_stand_between_their_anchors(measured: StudyRows) -> None:
    shown = apart_from_decoder(measured).choices["distances"]
    marks = {trace.name: trace.x[0] for trace in shown.figure.data if trace.y is not None and trace.y[0] == "SD"}
    rows = measured.decided[measured.decided.ae == "sd"]
    assert marks["samples"] == pytest.approx(1000 * rows.kid.mean())
    anchors = measured.anchors.query("ae == 'sd' and target == 'reference' and n_samples == 1000").set_index("anchor")
    assert marks["decoded Gaussian latents"] == pytest.approx(1000 * anchors.kid["gaussian"])
    assert marks["their reconstructions"] == pytest.approx(1000 * anchors.kid["reconstructions"])
    assert shown.figure.layout.xaxis.title.text == "KID × 1000, lower is better"
    assert shown.words.title.startswith(
        "Reconstructions alone are at 18 % (FLUX.2, FLUX.2 unaligned and FLUX.2 again) to 41 % (SD, PCA 4 and PCA 8)"
    )
    assert set(shown.rows["anchor"]) == {"samples", "test", "reconstructions", "gaussian", "noise"}


def test_thirteen_names_of_the_scatter_lie_on_nothing(measured: StudyRows) -> None:
    shown = share_tradeoff.share_against_fidelity(measured)
    (left, right), (low, high) = shown.figure.layout.xaxis.range, shown.figure.layout.yaxis.range
    named = [note for note in shown.figure.layout.annotations if note.text.startswith("<b>")]
    in_legend = {trace.name for trace in shown.figure.data if trace.name and trace.showlegend is not False}
    texts = {note.text[3:-4] for note in named}
    assert len(shown.rows) == 13 and len(texts | in_legend) >= 13 and not texts & in_legend
    places = {("center", "bottom"): "top center", ("center", "top"): "bottom center"}
    for plot in labels.PLOTS:
        boxes = []
        for note in named:
            x, y = (note.x - left) / (right - left), (note.y - low) / (high - low)
            side = {"left": "right", "right": "left", "center": "center"}[note.xanchor]
            above = {"bottom": "top", "top": "bottom", "middle": "middle"}[note.yanchor]
            place = places.get((note.xanchor, note.yanchor), f"{above} {side}")
            boxes.append(labels.box(labels.Name(x, y, [note.text[3:-4]], 17), place, plot))
        assert not [pair for pair in itertools.combinations(boxes, 2) if labels._overlap(*pair)]


def test_words_say_by_which_samples() -> None:
    grid = study(generation_rows())
    assert learned_in_words({"toy": grid}) == (
        "In study `toy` RAE (G 0.99) is learned best apart from its decoder, FLUX.1 (G 0.91) least; of all by the 64 "
        "samples that chose the setting, which flatters a little. With the decoder, by FD (EfficientNet-Lite0), "
        "samples of RAE are nearest to images, those of FLUX.1 farthest."
    )
    chosen = with_choice(grid)
    assert "by 128 new samples of 3 trainings of each." in learned_in_words({"toy": chosen})
    unsure = chosen.confirmed["train_seed"].map({0: 0.0, 1: 0.01, 2: 0.02})
    noisy = chosen.confirmed.assign(reconstruction_kid=chosen.confirmed["reconstruction_kid"] + unsure)
    said = learned_in_words({"toy": dataclasses.replace(chosen, confirmed=noisy)})
    assert "no latent space is clearly learned better apart from its decoder: G is highest of" in said
    some = dataclasses.replace(chosen, confirmed=chosen.confirmed.query("ae != 'sd'"))
    assert "; of SD by the 64 samples that chose" in learned_in_words({"toy": some})


def test_a_study_from_before_says_so_in_one_sentence() -> None:
    old = study(generation_rows().assign(reconstruction_kid=math.nan))
    assert not has_shares(old) and has_shares(study(generation_rows()))
    assert learned_in_words({"toy": old}).startswith("Study `toy` has no distance of samples to reconstructions")
    both = {"toy": old, "old": old, "new": study(generation_rows())}
    assert learned_in_words(both).endswith(
        "The studies `toy` and `old` have no distance of samples to reconstructions, so what was learned there "
        "apart from the decoder is not known."
    )
    with pytest.raises(LrcoreError, match="study toy has no distance of samples to reconstructions"):
        apart_from_decoder(old)


def test_a_study_of_one_autoencoder_says_so_of_that() -> None:
    one = with_choice(study(generation_rows(aes=("sd",))))
    assert learned_in_words({"toy": one}).startswith("In study `toy` G is known of SD (G 0.93 ± 0.00) alone: by")
    title = apart_from_decoder(one).choices["share learned"].words.title
    assert title == "What was learned of the latent space of SD apart from its decoder"


def means(**shares: tuple[float, float]) -> pandas.DataFrame:
    rows = [(ae, share, deviation, 4) for ae, (share, deviation) in shares.items()]
    return pandas.DataFrame(rows, columns=["ae", "g_kid", "deviation", "trainings"])


def test_titles_say_no_more_than_trainings_tell() -> None:
    assert best_and_least(means(rae=(0.9, math.nan), sd=(0.5, math.nan))).startswith("RAE is learned best")
    assert best_and_least(means(rae=(0.9, 0.1), flux2=(0.85, 0.1), sd=(0.5, 0.1))) == (
        "FLUX.2 and RAE are learned best apart from their decoder, SD least"
    )
    assert best_and_least(means(rae=(0.6, 0.2), sd=(0.5, 0.2))).startswith("No latent space is clearly")
    rows = pandas.DataFrame({"ae": ["sd", "rae"], "floor_kid": [1.0, 1.0], "kid": [-1.0, 4.0]})
    assert floors_in_words(rows) == "Reconstructions alone are at 25 % (RAE) of the samples' distance"
    assert floors_in_words(rows.head(1)) == "Distances of samples, and of what they can be held against"


def test_the_yardstick_is_named_from_the_nearest_to_the_farthest() -> None:
    rows = generation_rows()
    far = (
        rows["gaussian_kid"]
        .mask(rows["ae"] == "rae", 0.5)
        .mask(rows["ae"] == "sd", 0.2)
        .mask(~rows["ae"].isin(["rae", "sd"]), 0.3)
    )
    assert gaussians_in_words({"toy": study(rows.assign(gaussian_kid=far))}) == (
        "In study `toy` decoded Gaussian latents are at a KID × 1000 of 200 (SD) to 500 (RAE) from the reconstructions."
    )
    assert gaussians_in_words({"toy": study(rows.query("ae == 'sd'"))}) == ""


def test_what_cannot_be_told_has_no_mark_and_is_named() -> None:
    rows = generation_rows()
    gaussian = rows["gaussian_kid"].mask(rows["ae"] == "rae", 1e-6).mask(rows["ae"] == "sd", 0.006)
    some = study(rows.assign(gaussian_kid=gaussian))
    shares = apart_from_decoder(some).choices["share learned"]
    assert not [trace for trace in shares.figure.data if trace.name == "RAE"]
    assert [note.y for note in shares.figure.layout.annotations if note.text == "cannot be told"] == ["RAE"]
    sd = [trace for trace in shares.figure.data if trace.name == "SD"]
    assert [trace.x[0] for trace in sd[:1]] == [-1.0] and sd[0].marker.symbol == ("arrow-left",)
    assert sd[0].customdata[0][1] == "\N{MINUS SIGN}2"
    assert shares.figure.layout.xaxis.range[0] > -1.5
    assert shares.words.title == "FLUX.2 is learned best apart from its decoder, SD least"
    assert "G cannot be told of RAE" in shares.words.notes and "RAE (G cannot be told)" in shares.alt
    assert "is not clearly more than noise there." in learned_in_words({"toy": some})
    none = study(rows.assign(gaussian_kid=1e-6))
    assert learned_in_words({"toy": none}).startswith("In study `toy` G cannot be told of SD, FLUX.1, FLUX.2, RAE:")
    title = apart_from_decoder(none).choices["share learned"].words.title
    assert title == "What was learned apart from the decoder cannot be told of any latent space"


def test_the_title_of_an_axis_leaves_the_features_to_the_subtitle() -> None:
    """They would be cut on a narrow screen."""
    shown = apart_from_decoder(study(generation_rows())).choices["distances"]
    assert shown.figure.layout.xaxis.title.text == "KD × 1000, lower is better"
    assert "EfficientNet-Lite0" in shown.words.subtitle
