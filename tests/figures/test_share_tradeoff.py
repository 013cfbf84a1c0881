"""lrcore.figures.share_tradeoff: points, anchors, names and words against the rows."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from figure_rows import BASE, LPIPS, generation_rows, study, with_anchors, with_choice

from lrcore.errors import LrcoreError
from lrcore.figures import share_tradeoff
from lrcore.figures.site_figure import SiteFigure
from lrcore.figures.switch import Switch
from lrcore.results import naming

SHARES = {ae: 1 - (base / 2 - 2) / 250 for ae, base in BASE.items()}


def marks(figure: SiteFigure) -> dict[str, tuple[float, float, str]]:
    """x, y and symbol by name of the points of autoencoders."""
    named = [trace for trace in figure.figure.data if trace.name and trace.x[0] is not None]
    return {trace.name: (trace.x[0], trace.y[0], trace.marker.symbol) for trace in named}


def test_points_are_shares_and_fidelity() -> None:
    shown = share_tradeoff.share_against_fidelity(study(generation_rows()))
    for ae, (x, y, symbol) in zip(("sd", "flux1", "flux2", "rae"), marks_in_order(shown), strict=True):
        assert (x, y) == pytest.approx((LPIPS[ae], SHARES[ae])) and symbol == naming.AES[ae].symbol
    assert [shape.y0 for shape in shown.figure.layout.shapes] == [0, 1]
    texts = [note.text for note in shown.figure.layout.annotations]
    assert {"reconstructions", "Gaussian latents", "<b>RAE</b>", "<b>SD</b>"} <= set(texts)
    assert shown.words.title == "RAE is learned best, FLUX.2 is the most faithful"
    assert "RAE G 0.99, by FID 0.99, LPIPS (VGG) 0.4" in shown.alt
    assert {"g_kid", "g_fid", "g_low", "g_high", "fidelity", "told", "trainings"} <= set(shown.rows)
    assert "EfficientNet-Lite0, an encoder" in shown.words.notes  # what confounds distances in these features


def marks_in_order(figure: SiteFigure) -> list[tuple[float, float, str]]:
    found = marks(figure)
    return [found[naming.AES[ae].label] for ae in ("sd", "flux1", "flux2", "rae")]


def test_the_interval_over_trainings_is_drawn() -> None:
    shown = share_tradeoff.share_against_fidelity(with_choice(study(generation_rows())))
    points = shown.rows.set_index("ae")
    sd = next(trace for trace in shown.figure.data if trace.name == "SD")
    assert sd.error_y.array[0] == pytest.approx(points["g_high"]["sd"] - points["g_kid"]["sd"])
    assert "95 % interval over trainings" in shown.words.notes
    one = share_tradeoff.share_against_fidelity(study(generation_rows()))
    assert next(trace for trace in one.figure.data if trace.name == "SD").error_y.array is None


def test_noise_is_drawn_where_it_is_in_range() -> None:
    rows = study(generation_rows())
    shown = share_tradeoff.share_against_fidelity(with_anchors(rows, noise=0.26))
    noise = [trace for trace in shown.figure.data if trace.marker.symbol == "asterisk-open" and trace.x[0] is not None]
    assert list(noise[0].y) == pytest.approx([1 - 0.26 / 0.25] * 4)
    far = share_tradeoff.share_against_fidelity(with_anchors(rows, noise=1.3))
    assert not [trace for trace in far.figure.data if trace.marker.symbol == "asterisk-open"]
    assert far.rows["g_noise"].tolist() == pytest.approx([1 - 1.3 / 0.25] * 4)


def test_what_the_study_did_not_train_is_hollow() -> None:
    rows = study(generation_rows())
    origin = rows.reconstruction["ae"].map({"sd": "fitted", "flux1": "pretrained"}).fillna("trained")
    shown = share_tradeoff.share_against_fidelity(
        dataclasses.replace(rows, reconstruction=rows.reconstruction.assign(origin=origin))
    )
    assert [symbol for *_, symbol in marks_in_order(shown)] == ["circle-open", "square-open", "diamond", "triangle-up"]
    assert {"trained in the study", "needs no training"} <= {trace.name for trace in shown.figure.data}


def test_no_point_is_wild() -> None:
    """A denominator near 0 gives no value, and a clear G far below 0 an arrow at the edge; the notes name both."""
    rows = generation_rows()
    gaussian = rows["gaussian_kid"].mask(rows["ae"] == "rae", 1e-6).mask(rows["ae"] == "sd", 0.006)
    shown = share_tradeoff.share_against_fidelity(study(rows.assign(gaussian_kid=gaussian)))
    found, axis = marks(shown), shown.figure.layout.yaxis.range
    assert axis[0] > -1.5 and axis[1] < 1.5
    assert found["SD"][2] == "arrow-down" and found["RAE"][2] == "x-thin-open"
    assert all(axis[0] < y < axis[1] for _, y, _ in found.values())
    assert "below the axis: SD −2. " in shown.words.notes and "G cannot be told of RAE:" in shown.words.notes
    assert shown.words.title == "FLUX.2 is learned best and is the most faithful"
    assert "RAE G cannot be told" in shown.alt
    none = share_tradeoff.share_against_fidelity(study(rows.assign(gaussian_kid=1e-6)))
    assert none.words.title == "What was learned apart from the decoder cannot be told of any latent space"
    assert none.rows["g_kid"].isna().all() and not none.rows["front"].any()


def points(**of: tuple[float, float, float]) -> pandas.DataFrame:
    """G, LPIPS and the deviation of G between four trainings."""
    rows = [(ae, g, deviation, 4, kept, 0.001) for ae, (g, kept, deviation) in of.items()]
    found = pandas.DataFrame(rows, columns=["ae", "g_kid", "deviation", "trainings", "fidelity", "standard_error"])
    return found.assign(front=share_tradeoff.on_front(found, higher_is_better=False))


def test_titles_say_who_leads_and_who_is_on_the_front() -> None:
    lpips, nan = naming.METRICS["lpips"], math.nan
    say = share_tradeoff.finding
    assert say(points(sd=(0.5, 0.3, nan), rae=(0.2, 0.4, nan)), lpips) == "SD is learned best and is the most faithful"
    three = points(sd=(0.5, 0.3, nan), rae=(0.9, 0.4, nan), flux2=(0.1, 0.1, nan))
    assert (
        say(three, lpips)
        == "RAE is learned best, FLUX.2 is the most faithful; SD lies between them on the Pareto front"
    )
    behind = points(sd=(0.5, 0.5, nan), rae=(0.9, 0.4, nan), flux2=(0.1, 0.1, nan))
    assert behind["front"].tolist() == [False, True, True]
    assert say(behind, lpips) == "RAE is learned best, FLUX.2 is the most faithful"
    assert say(points(sd=(0.5, 0.3, 0.5), rae=(0.6, 0.3005, 0.5)), lpips) == (
        "Neither G nor fidelity tells the latent spaces apart"
    )
    noisy = points(sd=(0.5, 0.3, 0.5), rae=(0.6, 0.4, 0.5), flux2=(0.55, 0.5, 0.5))
    assert say(noisy, lpips) == "SD is the most faithful"
    assert say(points(sd=(0.5, 0.3, nan)), lpips) == "Share learned and fidelity of SD"


def test_a_study_without_g_shows_the_plain_distance() -> None:
    rows = study(generation_rows())
    both = share_tradeoff.tradeoff_of(rows)
    assert isinstance(both, Switch) and list(both.choices) == ["share learned", "distance"]
    old = study(generation_rows().assign(reconstruction_kid=math.nan))
    plain = share_tradeoff.tradeoff_of(old)
    assert isinstance(plain, SiteFigure) and plain.name == "toy-tradeoff"
    some = study(
        generation_rows().assign(reconstruction_kid=lambda rows: rows["reconstruction_kid"].where(rows["ae"] == "sd"))
    )
    without_sd = dataclasses.replace(some, reconstruction=some.reconstruction.query("ae != 'sd'"))
    assert isinstance(share_tradeoff.tradeoff_of(some), Switch)
    assert isinstance(share_tradeoff.tradeoff_of(without_sd), SiteFigure)
    with pytest.raises(LrcoreError, match="no autoencoder has both a distance of samples to reconstructions and lpips"):
        share_tradeoff.share_against_fidelity(old)
