"""lrcore.figures.denoising: lines are the ratios, and what is said of them follows them."""

import denoising_rows
import pandas
import pytest

from lrcore.errors import LrcoreError
from lrcore.figures.denoising import loss_over_gaussian
from lrcore.results import naming
from lrcore.results.study_rows import StudyRows


def study(**loss):
    none = pandas.DataFrame()
    losses = [denoising_rows.losses(("ts", 1.0, value, 100), ae=ae) for ae, value in loss.items()]
    latents = [denoising_rows.latents(ae) for ae in loss]
    generation = pandas.DataFrame({"study": ["toy"], "dataset": ["toy"], "resolution": [32]})
    parts = {field: none for field in StudyRows.__dataclass_fields__}
    return StudyRows(**{
        **parts, "name": "toy", "generation": generation,
        "latents": pandas.concat(latents), "losses": pandas.concat(losses),
    })  # fmt: skip


def test_a_line_of_ratios_for_every_autoencoder():
    made = loss_over_gaussian(study(rae=2.5, sd=0.7))
    sd, rae = made.figure.data
    assert (sd.name, rae.name) == ("SD", "RAE")
    assert list(sd.x) == [0.25, 0.75] and list(sd.y) == pytest.approx([0.4, 0.56])
    assert list(sd.error_y.array) == pytest.approx([0.08, 0.112])  # two standard errors, of a tenth each
    assert made.words.title == "SD is furthest below a linear denoiser: by 60 %, at t 0.0 to 0.5"
    assert [note.text for note in made.figure.layout.annotations] == ["<b>linear</b>", "<b>SD</b>", "<b>RAE</b>"]
    assert "SD 0.4 (t 0.0–0.5) to 0.56 (t 0.5–1.0); RAE 1.43 (t 0.0–0.5) to 2 (t 0.5–1.0)" in made.alt
    assert made.name == "toy-loss-over-gaussian" and len(made.rows) == 4


def test_the_finding_is_another_where_no_model_is_below():
    """0.9 of a linear denoiser's loss, which is known to a tenth, is not below it."""
    made = loss_over_gaussian(study(sd=0.9 * 1.75))
    assert made.words.title == "No model is clearly better than a linear denoiser"


@pytest.mark.parametrize(
    ("losses", "title"),
    [
        ({"sd": 0.7}, "SD is up to 60 % below a linear denoiser, at t 0.0 to 0.5"),
        ({"sd": 0.7, "rae": 0.71}, "SD and RAE are furthest below a linear denoiser: by up to 60 %, at t 0.0 to 0.5"),
        (
            dict.fromkeys(naming.AES, 0.7),
            "All 13 autoencoders are furthest below a linear denoiser: by up to 60 %, at t 0.0 to 0.5",
        ),
    ],
)
def test_the_finding_is_a_sentence(losses, title):
    assert loss_over_gaussian(study(**losses)).words.title == title


def test_nothing_to_divide_is_said():
    empty = study(sd=0.7)
    with pytest.raises(LrcoreError, match="no rows"):
        loss_over_gaussian(StudyRows(**{**vars(empty), "latents": empty.latents.head(0)}))
