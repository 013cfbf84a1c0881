"""lrcore.figures.tradeoff: points, changes and labels against the rows."""

from __future__ import annotations

import pandas
import pytest
from figure_rows import diverged, generation_rows, published_rows, reconstruction_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.embed import SiteFigure
from lrcore.figures.style import FEW
from lrcore.figures.tradeoff import published_tradeoff, study_tradeoff
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
    assert made.figure.layout.yaxis.title.text == "best gFID, lower is better"
    assert "RAE gFID 3.104" in made.alt


def test_published_rfid_is_that_of_one_protocol() -> None:
    traces = markers(published_tradeoff(published_rows(), "rfid"))
    assert traces["SD"].x[0] == 0.6451  # not the 0.62 that its authors report
    higher = published_tradeoff(published_rows(), "psnr")
    assert higher.figure.layout.xaxis.title.text == "PSNR (dB), higher is better"


def test_study_takes_the_best_over_the_grid() -> None:
    made = study_tradeoff(generation_rows(), reconstruction_rows())
    traces = markers(made)
    assert traces["RAE"].y[0] == pytest.approx(4.0) and traces["RAE"].x[0] == pytest.approx(0.8)
    assert made.figure.layout.yaxis.title.text == "best FD (EfficientNet-Lite0), lower is better"
    assert made.rows["ae"].to_list() == ["sd", "flux1", "flux2", "rae"]


def test_only_inception_is_called_fid() -> None:
    made = study_tradeoff(generation_rows("inception2015"), reconstruction_rows())
    assert made.figure.layout.yaxis.title.text == "best FID, lower is better"


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
    traces = markers(study_tradeoff(rows.assign(fid=near), reconstruction_rows()))
    low, high = sorted(("FLUX.1", "FLUX.2"), key=lambda name: traces[name].y[0])
    assert (traces[low].textposition, traces[high].textposition) == ("bottom center", "top center")


def test_many_points_are_named_by_a_legend() -> None:
    aes = (*(f"mine{number}" for number in range(FEW)), "sd")
    made = study_tradeoff(generation_rows(aes=aes), reconstruction_rows(aes))
    assert len(made.figure.data) == len(aes)  # no arrows
    assert {trace.mode for trace in made.figure.data} == {"markers"} and made.figure.layout.showlegend
    assert made.figure.layout.height > study_tradeoff(generation_rows(), reconstruction_rows()).figure.layout.height
