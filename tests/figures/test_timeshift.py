"""lrcore.figures.timeshift: the curves are those of lrcore.flow.timesteps."""

from __future__ import annotations

import numpy
import pytest

from lrcore.figures.timeshift import density_curves, timeshift_curves
from lrcore.flow.timesteps import SHIFTS, TRAINING_DENSITIES


def test_timeshift_curves() -> None:
    made = timeshift_curves()
    assert [trace.name for trace in made.figure.data] == [f"{a:.2f}" for a in SHIFTS]
    for a, trace in zip(SHIFTS, made.figure.data, strict=True):
        t = numpy.asarray(trace.x)
        numpy.testing.assert_allclose(trace.y, a * t / (1 + (a - 1) * t))
    assert made.figure.layout.xaxis.title.text.startswith("uniform timestep t")
    assert made.figure.layout.yaxis.title.text == "shifted timestep s(a, t)"
    assert len(made.rows) == sum(len(trace.x) for trace in made.figure.data)


def test_every_density_integrates_to_one() -> None:
    made = density_curves()
    assert len(made.figure.data) == len(SHIFTS) * len(TRAINING_DENSITIES)
    assert numpy.isfinite(made.rows["density"]).all()
    for _, curve in made.rows.groupby(["trainp", "shift"]):
        assert numpy.trapezoid(curve["density"], curve["t"]) == pytest.approx(1.0, abs=0.01)
    uniform = made.rows[(made.rows["trainp"] == "ts") & (made.rows["shift"] == 1.0)]
    assert set(uniform["density"]) == {1.0}


def test_panels_share_one_legend() -> None:
    figure = density_curves().figure
    assert [trace.name for trace in figure.data if trace.showlegend] == [f"{a:.2f}" for a in SHIFTS]
    assert {trace.yaxis for trace in figure.data} == {"y", "y2", "y3"}
    dashes = {(trace.name, trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(dashes) == len(SHIFTS)  # a shift looks the same in every panel, and unlike the others
