"""lrcore.figures.losses: means over runs, weighted by images, at the last step."""

import dataclasses

import pandas
import pytest
from figure_rows import begun

from lrcore.errors import LrcoreError
from lrcore.figures.losses import finding, loss_over_time


def rows():
    found = []
    for run, (weight, offset) in enumerate(((100, 0.0), (300, 0.4))):
        for step in (10, 20):
            for low in (0.0, 0.5):
                loss = 1 + offset + low - step / 100
                found.append(("sd", "none", run, step, low, low + 0.5, loss, weight))
    found.append(("sd", "encoder", 2, 20, 0.0, 0.5, 99.0, 100))
    found.append(("sd", "none", 3, 20, 0.0, 0.5, float("nan"), 0))
    columns = ["ae", "repa", "train_seed", "step", "t_low", "t_high", "loss", "count"]
    return pandas.DataFrame(found, columns=columns).assign(study="toy")


def study(losses):
    return dataclasses.replace(begun(), losses=losses)


def test_the_line_is_the_weighted_mean_at_the_end():
    made = loss_over_time(study(rows()))
    (line,) = made.figure.data
    assert list(line.x) == [0.25, 0.75]
    assert list(line.y) == pytest.approx([0.8 + 0.3, 1.3 + 0.3])
    assert made.rows["count"].tolist() == [400, 400]
    assert made.words.title == "The loss of SD is lowest at t 0.0–0.5"
    assert [note.text for note in made.figure.layout.annotations] == ["<b>SD</b>"]
    assert "SD lowest with 1.1 at t 0.00 to 0.50" in made.alt


def test_no_loss_is_said():
    with pytest.raises(LrcoreError, match="no training without REPA"):
        loss_over_time(study(rows().query("repa != 'none'")))


def test_the_title_says_where_losses_are_lowest():
    found = pandas.DataFrame(
        [("sd", 0.0, 0.5, 1.0), ("sd", 0.5, 1.0, 2.0), ("rae", 0.0, 0.5, 2.0), ("rae", 0.5, 1.0, 3.0)],
        columns=["ae", "t_low", "t_high", "loss"],
    )
    assert finding(found) == "The loss is lowest at t 0.0–0.5 in every latent space"
    apart = found.assign(loss=[1.0, 2.0, 3.0, 2.0])
    assert finding(apart) == "The loss is lowest at different timesteps: t 0.0–0.5 (SD) to t 0.5–1.0 (RAE)"


def test_many_lines_have_a_legend():
    made = loss_over_time(study(pandas.concat([rows().assign(ae=f"mine{number}") for number in range(13)])))
    assert made.figure.layout.showlegend and not made.figure.layout.annotations
