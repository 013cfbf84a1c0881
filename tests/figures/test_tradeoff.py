"""lrcore.figures.tradeoff: points, changes and labels against the rows."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from drawn import covered, overlapping
from figure_rows import diverged, generation_rows, published_rows, reconstruction_rows, study, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.labels import PLOTS
from lrcore.figures.site_figure import SiteFigure
from lrcore.figures.style import FEW
from lrcore.figures.tradeoff import (
    finding,
    of_study,
    published_by_baseline,
    published_tradeoff,
    shares_of_axes,
    study_tradeoff,
)
from lrcore.results import naming


def markers(made: SiteFigure) -> dict[str, object]:
    return {trace.name: trace for trace in made.figure.data if trace.name}


def test_published_points_and_changes() -> None:
    made = published_tradeoff(published_rows())
    traces = markers(made)
    assert list(traces) == ["SD", "FLUX.1", "FLUX.2", "RAE"]
    assert (traces["RAE"].x[0], traces["RAE"].y[0]) == (1.6737, 3.103955)
    assert traces["RAE"].error_x.array[0] == 0.0057
    assert traces["FLUX.2"].text[0] == "<b>FLUX.2</b><br>gFID −52 %<br>LPIPS −72 %"
    assert traces["SD"].text[0] == "<b>SD</b>"
    assert traces["FLUX.2"].marker.color == naming.AES["flux2"].colour
    arrows = [trace for trace in made.figure.data if not trace.name]
    assert [(a.x[0], a.y[0], a.x[1]) for a in arrows] == [(0.9519, 7.72709, x) for x in (0.338, 0.2668, 1.6737)]
    assert made.figure.layout.yaxis.type == "log"
    assert made.figure.layout.xaxis.title.text == "LPIPS, lower is better"
    assert made.figure.layout.yaxis.title.text == "best gFID, lower is better, log scale"
    assert "RAE gFID 3.10" in made.alt


def test_published_rfid_is_that_of_one_protocol() -> None:
    traces = markers(published_tradeoff(published_rows(), "rfid"))
    assert traces["SD"].x[0] == 0.6451  # not the 0.62 that its authors report
    higher = published_tradeoff(published_rows(), "psnr")
    assert higher.figure.layout.xaxis.title.text == "PSNR (dB), higher is better"


def test_any_autoencoder_is_the_baseline_of_the_published_figure() -> None:
    switch = published_by_baseline(published_rows())
    assert list(switch.choices) == ["SD", "FLUX.1", "FLUX.2", "RAE"] and switch.scripted
    made = dict(switch.choices)
    assert all(isinstance(one, SiteFigure) for one in made.values())
    assert made["SD"].markup == published_tradeoff(published_rows()).markup  # its picture and name stay
    assert len({one.name for one in made.values()}) == 4
    from_rae = markers(made["RAE"])
    assert from_rae["FLUX.2"].text[0] == "<b>FLUX.2</b><br>gFID +19 %<br>LPIPS −84 %"
    assert from_rae["RAE"].text[0] == "<b>RAE</b>"
    assert {(trace.x[0], trace.y[0]) for trace in made["RAE"].figure.data if not trace.name} == {(1.6737, 3.103955)}
    for name, one in made.items():
        assert f"Arrows lead from {name}, with relative changes." in one.words.notes
        shares, notes = shares_of_axes(one.figure, one.rows), one.figure.layout.annotations
        for plot in PLOTS:
            assert not overlapping([covered(note, *share, plot) for note, share in zip(notes, shares, strict=True)])
    assert made["FLUX.1"].words.title == "FLUX.2 is ahead of FLUX.1 on both axes"


def test_study_takes_the_best_over_the_grid() -> None:
    made = study_tradeoff(generation_rows(), reconstruction_rows())
    traces = markers(made)
    assert traces["RAE"].y[0] == pytest.approx(4.0) and traces["RAE"].x[0] == pytest.approx(0.8)
    assert made.figure.layout.yaxis.title.text == "best FD (EfficientNet-Lite0), lower is better, log scale"
    assert made.rows["ae"].to_list() == ["sd", "flux1", "flux2", "rae"]


def test_only_inception_is_called_fid() -> None:
    made = study_tradeoff(generation_rows("inception2015"), reconstruction_rows())
    assert made.figure.layout.yaxis.title.text == "best FID, lower is better, log scale"


def test_without_baseline_or_with_a_diverged_one_there_are_no_arrows() -> None:
    for rows in (generation_rows(aes=("flux1", "rae")), diverged(generation_rows(), ae="sd")):
        made = study_tradeoff(rows, reconstruction_rows())
        assert "SD" not in markers(made) and all(trace.name for trace in made.figure.data)
        assert made.rows["distance_change"].isna().all()


def test_refusals() -> None:
    with pytest.raises(LrcoreError, match="different feature_network cannot be compared"):
        study_tradeoff(two_networks(), reconstruction_rows())
    with pytest.raises(LrcoreError, match="no rows"):
        study_tradeoff(generation_rows().head(0), reconstruction_rows())
    with pytest.raises(LrcoreError, match="no rows: no autoencoder has both"):
        study_tradeoff(generation_rows(), reconstruction_rows().head(0))
    with pytest.raises(LrcoreError, match="unknown reconstruction metric"):
        published_tradeoff(published_rows(), "fid")
    doubled = pandas.concat([reconstruction_rows(), reconstruction_rows()])
    with pytest.raises(LrcoreError, match="two rows of lpips_vgg"):
        study_tradeoff(generation_rows(), doubled)


def test_names_keep_clear_of_the_nearest_point() -> None:
    rows = generation_rows()
    near = rows["fid"].where(rows["ae"] != "flux2", 1.01 * rows.loc[rows["ae"] == "flux1", "fid"].to_numpy().min())
    made = study_tradeoff(rows.assign(fid=near), reconstruction_rows())
    shares, notes = shares_of_axes(made.figure, made.rows), made.figure.layout.annotations
    assert [note.text for note in notes] == [trace.text[0] for trace in markers(made).values()]
    for plot in PLOTS:
        texts = [covered(note, *share, plot) for note, share in zip(notes, shares, strict=True)]
        assert not overlapping(texts)
        for (left, bottom, right, top), (x, y) in zip(texts, shares, strict=True):  # a diamond is 1.3 times as high
            assert not (abs(x * plot[0] - (left + right) / 2) < 1 and bottom - 9.1 < y * plot[1] < top + 9.1)


def points(**changed: dict[str, float]) -> pandas.DataFrame:
    found = {"sd": (40.0, 0.3), "flux1": (50.0, 0.1), "flux2": (20.0, 0.2), "rae": (10.0, 0.4), **changed}
    rows = [(ae, distance, fidelity, 0.001) for ae, (distance, fidelity) in found.items() if distance]
    return pandas.DataFrame(rows, columns=["ae", "distance", "fidelity", "standard_error"])


@pytest.mark.parametrize(
    ("rows", "noise", "said"),
    [
        (points(), math.nan, "FLUX.2 is ahead of SD on both axes"),
        (points(), 0.99, "FLUX.2 beats SD on both axes"),
        (points(), 1.01, "FLUX.2 and RAE share the lowest FD, FLUX.1 has the lowest LPIPS"),
        (points(flux2=(10.0, 0.1)), math.nan, "FLUX.2 is ahead of SD on both axes"),
        (points(), 0.05, "FLUX.2 beats SD on both axes"),
        (points(flux2=(9.0, 0.05)), math.nan, "FLUX.2 leads on both axes"),
        (points(flux2=(45.0, 0.2)), math.nan, "RAE has the lowest FD, FLUX.1 has the lowest LPIPS"),
        (points(sd=(0.0, 0.0)), math.nan, "RAE has the lowest FD, FLUX.1 has the lowest LPIPS"),
        (points(sd=(45.0, 0.2015)), math.nan, "RAE has the lowest FD, FLUX.1 has the lowest LPIPS"),
        (
            points(flux2=(-0.1, 0.2), rae=(-0.2, 0.4), sd=(0.0, 0.0)),
            0.3,
            "FLUX.2 and RAE share the lowest FD, FLUX.1 has the lowest LPIPS",
        ),
        (points().head(1), math.nan, "FD and LPIPS of SD"),
        (points().assign(distance=1.0), 0.1, "FLUX.1 has the lowest LPIPS"),
        (points().assign(distance=1.0, fidelity=1.0), 0.1, "Neither FD nor LPIPS tells the autoencoders apart"),
    ],
)
def test_the_title_says_what_the_points_say(rows: pandas.DataFrame, noise: float, said: str) -> None:
    found = finding(rows, "FD (EfficientNet-Lite0)", naming.METRICS["lpips_vgg"], noise=noise)
    assert found == said


def test_words() -> None:
    assert published_tradeoff(published_rows()).words.title == "FLUX.2 is ahead of SD on both axes"
    told = study_tradeoff(generation_rows(), reconstruction_rows(), "psnr").words
    assert told.title == "RAE leads on both axes"
    assert "the best of the 24 settings that all autoencoders share; PSNR (dB) of rec" in told.subtitle
    assert "toy at 32 px" in told.subtitle and "better" not in told.subtitle  # the axes say it
    assert told.notes.endswith("Source: study toy, data/generation and data/reconstruction.")


def test_distances_that_are_not_above_0_stand_on_a_linear_axis() -> None:
    rows = generation_rows()
    below = rows.assign(fid=rows["fid"].where(rows["ae"] != "rae", rows["fid"] - 30))
    made = study_tradeoff(below, reconstruction_rows())
    low, high = made.figure.layout.yaxis.range
    assert made.figure.layout.yaxis.type == "linear" and low < markers(made)["RAE"].y[0] < 0 < high
    alone = study_tradeoff(rows.assign(fid=rows["fid"].where(rows["ae"] != "sd", -1.0)), reconstruction_rows())
    assert alone.rows["distance_change"].isna().all()
    assert math.isnan(made.rows.set_index("ae")["distance_change"]["rae"])  # of less than nothing there is no share


def test_points_whose_names_have_no_room_are_named_by_a_legend() -> None:
    aes = ("flux1-aligned", "flux2-plain", "flux2-again", "taef2", "pca16", "sd")
    crowd = reconstruction_rows(aes).assign(value=0.1)
    made = study_tradeoff(generation_rows(aes=aes), crowd)
    assert made.figure.layout.showlegend and all(trace.mode == "markers" for trace in made.figure.data if trace.name)


def test_many_points_are_named_by_a_legend() -> None:
    aes = (*(f"mine{number}" for number in range(FEW)), "sd")
    made = study_tradeoff(generation_rows(aes=aes), reconstruction_rows(aes))
    assert len(made.figure.data) == len(aes)  # no arrows
    assert {trace.mode for trace in made.figure.data} == {"markers"} and made.figure.layout.showlegend
    assert made.figure.layout.height > study_tradeoff(generation_rows(), reconstruction_rows()).figure.layout.height


def test_a_best_that_is_not_clearly_better_than_noise_is_grey_and_said_to_be_so() -> None:
    """The grid's lowest are 20, 25, 10 and 5, times 0.8: those of SD and FLUX.1 are near what a Gaussian has."""
    rows = study(generation_rows().query("step == 200 and trainp == 'ln'"))
    columns = ["ae", "anchor", "fid", "kid", "target", "n_samples", "feature_network", "feature_protocol", "reference"]
    measured = ("reference", 64, "efficientnet_lite0", "toy", "toy/train")
    anchors = [(ae, anchor, 22.0, 0.022, *measured) for ae in rows.aes for anchor in ("noise", "gaussian")]
    made = of_study(dataclasses.replace(rows, anchors=pandas.DataFrame(anchors, columns=columns)))
    colours = {name: trace.marker.color for name, trace in markers(made).items()}
    assert {name for name, colour in colours.items() if colour == "rgb(128,128,128)"} == {"SD", "FLUX.1"}
    assert (
        "Grey: a best that says little of its latent space. Not clearly better than decoded noise" in made.words.notes
    )
    plain = of_study(rows)
    assert "No anchors in these rows: " in plain.words.notes and "Grey" not in plain.words.notes
    assert {trace.marker.color for trace in markers(plain).values()} == {naming.AES[ae].colour for ae in rows.aes}


def test_bars_that_no_mark_leaves_visible_are_said_to_be_hidden() -> None:
    rows = reconstruction_rows()
    near = study_tradeoff(generation_rows(), rows.assign(standard_error=1e-6)).words.notes
    assert "Bars of one standard error over images are smaller than the marks." in near
    span = (
        rows.loc[rows["metric"] == "lpips_vgg", "value"].max() - rows.loc[rows["metric"] == "lpips_vgg", "value"].min()
    )
    wide = study_tradeoff(generation_rows(), rows.assign(standard_error=0.2 * span)).words.notes
    assert "Bars are one standard error over images." in wide
