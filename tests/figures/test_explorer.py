"""lrcore.figures.explorer: every stop of the slider shows what lrcore.flow.timesteps computes."""

import numpy
import pytest
import torch

from lrcore.figures.explorer import STEPS, explored_shifts, plateau_in_words, shares_of_time, timestep_explorer
from lrcore.flow.timesteps import SHIFTS, TRAINING_DENSITIES, density, sampling_grid, timeshift
from lrcore.results import numbers


def test_every_stop_shows_the_library_s_curves() -> None:
    made = timestep_explorer()
    assert list(made.frames) == [f"{a:.2f}" for a in explored_shifts()] and set(SHIFTS) <= set(explored_shifts())
    for a, frame in zip(explored_shifts(), made.frames.values(), strict=True):
        _, curve, *densities, steps = frame.data
        t = torch.tensor(curve.x, dtype=torch.float64)
        numpy.testing.assert_allclose(curve.y, timeshift(a, t), atol=1e-3)
        for p, trace in zip(TRAINING_DENSITIES, densities, strict=True):
            t = torch.tensor(trace.x, dtype=torch.float64)
            numpy.testing.assert_allclose(trace.y, density(p, a).pdf(t), atol=1e-3)
        grid = sampling_grid(STEPS, a)
        numpy.testing.assert_allclose(steps.x, grid[:-1], atol=1e-4)
        assert sum(steps.y) == pytest.approx(1, abs=0.01)


def test_densities_stay_in_their_panel() -> None:
    for step, frame in timestep_explorer().frames.items():
        highest = max(max(trace.y) for trace in frame.data[2:5])
        assert highest < frame.layout.yaxis2.range[1] == pytest.approx(max(6, 1.05 * highest)), step
        low, high = frame.layout.yaxis2.domain
        assert low < frame.layout.legend.y <= high  # the legend stands in the panel that it names
        assert frame.layout.yaxis3.title.text.endswith("log scale")


def test_how_much_less_pln_trains_before_its_mode() -> None:
    less = 1 - float(density("pln", 1.0).cdf(torch.tensor([0.3]))) / float(density("ln", 1.0).cdf(torch.tensor([0.3])))
    assert f"by {numbers.percent(less, signed=False)} at shift 1.00 and by" in plateau_in_words()


def test_what_the_alternative_text_says() -> None:
    made = timestep_explorer()
    assert made.start == "2.95" and "a uniform timestep of 0.5 becomes 0.75" in made.alt


def test_shares_of_time() -> None:
    rows = shares_of_time().frame.set_index(["shift", "density"])
    assert len(rows) == len(SHIFTS) * len(TRAINING_DENSITIES)
    uniform = rows.loc[(1.0, "ts")]
    assert uniform.tolist() == pytest.approx([0.5, 10, 10, 0.02, 10])
    percentages = rows[[name for name in rows if "(%)" in name]]
    assert len(percentages.columns) == 3 and not any("e" in numbers.aligned(x) for x in percentages.to_numpy().ravel())
    assert rows.loc[(6.93, "ln"), "last sampling t"] == 0.1239  # the last non-zero time of the shifted 50-step grid
    assert rows.loc[(2.95, "ts"), "median t"] == rows.loc[(2.95, "ln"), "median t"]  # both are s(a, 0.5)


def test_the_words_hold_for_every_stop() -> None:
    made = timestep_explorer()
    assert made.words.title == "A larger shift moves training and sampling towards noise"
    medians = [timeshift(a, torch.tensor(0.5)).item() for a in explored_shifts()]
    assert medians == sorted(medians)
    assert {frame.layout.annotations[0].text for frame in made.frames.values()} == {
        f"timeshift s({step}, t)" for step in made.frames
    }
