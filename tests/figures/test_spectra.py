"""lrcore.figures.spectra: lines are the rows."""

import pandas
import pytest
from sample_data import CHANNELS, latent_rows

from lrcore.errors import LrcoreError
from lrcore.figures.spectra import channel_statistics, power_spectrum, steepest, uneven
from lrcore.results import naming


@pytest.fixture
def rows():
    return pandas.DataFrame([row.__dict__ for ae in CHANNELS for row in latent_rows(ae)]).assign(study="toy")


def test_a_line_of_power_for_every_autoencoder(rows):
    made = power_spectrum(rows)
    assert [trace.name for trace in made.figure.data] == ["SD", "FLUX.1", "FLUX.2", "RAE"]
    line = made.figure.data[0]
    assert list(line.x) == [ring / 16 for ring in range(1, 9)]
    assert list(line.y) == pytest.approx([(ring / 16) ** -1.5 for ring in range(1, 9)])
    assert made.figure.layout.annotations[0].text == "<b>SD</b>"
    assert made.words.subtitle.endswith("study toy.") and made.words.notes.endswith("Source: study toy, data/latents.")
    assert "SD \N{MINUS SIGN}1.5" in made.alt and made.figure.layout.xaxis.type == "log"


def test_channels_are_sorted_and_stand_at_their_rank(rows):
    made = channel_statistics(rows)
    deviation, kurtosis = (trace for trace in made.figure.data if trace.name == "SD")
    assert (list(deviation.y), list(deviation.x)) == ([0.9, 1.1], [0.25, 0.75])
    assert list(kurtosis.y) == [-0.3, 0.2] and list(kurtosis.text) == [1, 0]
    assert "SD standard deviation 0.9 to 1.1" in made.alt


def test_panels_of_many_lines_stand_below_one_another():
    rows = pandas.DataFrame([row.__dict__ for ae in naming.AES for row in latent_rows(ae)]).assign(study="toy")
    made = channel_statistics(rows)
    first, second = made.figure.layout.yaxis.domain, made.figure.layout.yaxis2.domain
    assert made.figure.layout.xaxis.domain == made.figure.layout.xaxis2.domain == (0, 1) and first[0] > second[1]
    assert made.min_width == 0 and len({trace.name for trace in made.figure.data}) == 13


def test_nothing_measured_is_said(rows):
    with pytest.raises(LrcoreError, match="no spectrum"):
        power_spectrum(rows[rows.metric == "flip_error"])
    with pytest.raises(LrcoreError, match="no channel"):
        channel_statistics(rows[rows.metric == "flip_error"])


def test_powers_of_0_are_counted_and_many_have_a_legend(rows):
    first = rows.index[(rows.metric == "spectrum_power") & (rows.x > 0)][0]
    made = power_spectrum(rows.assign(value=rows.value.where(rows.index != first, 0.0)))
    assert "1 power of 0 has no place on the axis." in made.words.notes
    many = [rows[rows.ae == "sd"].assign(ae=f"mine{number}") for number in range(13)]
    made = power_spectrum(pandas.concat(many, ignore_index=True))
    assert made.figure.layout.showlegend and not made.figure.layout.annotations


def frame(**columns):
    return pandas.DataFrame({"ae": ["sd", "flux1", "rae"], **columns})


def test_titles():
    slopes = frame(value=[-1.0, -2.0, -1.5], standard_error=[0.01, 0.01, 0.01])
    assert steepest(slopes) == "The spectrum falls most steeply for FLUX.1, least steeply for SD"
    unsure = slopes.assign(standard_error=[0.01, 0.2, 0.2])
    assert steepest(unsure) == "The spectrum falls most steeply for FLUX.1 and RAE, least steeply for SD"
    assert steepest(slopes.head(1)) == steepest(slopes.head(0)) == steepest(slopes.assign(value=1.0))
    stds = pandas.concat([frame(value=[0.5, 0.9, 1.0]), frame(value=[1.5, 1.0, 1.0])]).assign(metric="channel_std")
    assert uneven(stds) == "Channels of SD differ most: standard deviation 0.5 to 1.5"
    for rows in (stds[stds.ae == "sd"], stds.head(0), stds.assign(value=1.0)):
        assert uneven(rows) == "How the channels of the tokens differ"
