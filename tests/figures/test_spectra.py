"""lrcore.figures.spectra: lines are the rows."""

import pandas
import pytest
from sample_data import CHANNELS, latent_rows

from lrcore.errors import LrcoreError
from lrcore.figures.spectra import channel_statistics, power_spectrum


@pytest.fixture
def rows():
    return pandas.DataFrame([row.__dict__ for ae in CHANNELS for row in latent_rows(ae)]).assign(study="toy")


def test_a_line_of_power_for_every_autoencoder(rows):
    made = power_spectrum(rows)
    assert [trace.name for trace in made.figure.data] == ["SD", "FLUX.1", "FLUX.2", "RAE"]
    line = made.figure.data[0]
    assert list(line.x) == [ring / 16 for ring in range(1, 9)]
    assert list(line.y) == pytest.approx([(ring / 16) ** -1.5 for ring in range(1, 9)])
    assert "SD \N{MINUS SIGN}1.5" in made.alt and made.figure.layout.xaxis.type == "log"


def test_channels_are_sorted_and_stand_at_their_rank(rows):
    made = channel_statistics(rows)
    deviation, kurtosis = (trace for trace in made.figure.data if trace.name == "SD")
    assert (list(deviation.y), list(deviation.x)) == ([0.9, 1.1], [0.25, 0.75])
    assert list(kurtosis.y) == [-0.3, 0.2] and list(kurtosis.text) == [1, 0]
    assert "SD standard deviation 0.9 to 1.1" in made.alt


def test_nothing_measured_is_said(rows):
    with pytest.raises(LrcoreError, match="no spectrum"):
        power_spectrum(rows[rows.metric == "flip_error"])
    with pytest.raises(LrcoreError, match="no channel"):
        channel_statistics(rows[rows.metric == "flip_error"])
