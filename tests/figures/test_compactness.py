"""lrcore.figures.compactness: areas in proportion to what a latent costs."""

import math

import pandas
import pytest
from contrast import blended, contrast
from drawn import covered, overlapping
from figure_rows import generation_rows, published_rows, reconstruction_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.compactness import OPACITY, finding, published_costs, study_costs
from lrcore.figures.labels import PLOTS
from lrcore.figures.tradeoff import shares_of_axes
from lrcore.flow.compute import training_flops_per_image
from lrcore.results import naming


@pytest.fixture
def made():
    rows = generation_rows().assign(model="DiT-Nano", batch_size=8)
    return study_costs(rows, reconstruction_rows())


def test_areas_are_in_proportion_to_the_numbers_of_a_latent(made):
    figure = made.choices["size of the latent"].figure
    found = {trace.name: trace.marker.size**2 for trace in figure.data}  # 4, 8, 12, 16 channels a token
    assert [found[name] / found["RAE"] for name in ("SD", "FLUX.1", "FLUX.2")] == pytest.approx([1 / 4, 1 / 2, 3 / 4])
    assert [trace.name for trace in figure.data] == ["RAE", "FLUX.2", "FLUX.1", "SD"]  # the small ones on top
    assert "SD" in made.choices["size of the latent"].alt and "256 numbers" in made.choices["size of the latent"].alt
    rows = made.choices["size of the latent"].rows.set_index("ae")
    assert rows.loc["sd", "compression"] == 3 * 32**2 / (64 * 4)


def test_compute_is_that_of_the_steps_to_the_best(made):
    rows = made.choices["training compute"].rows.set_index("ae")
    assert rows.loc["sd", "training_flops"] == 200 * 8 * training_flops_per_image("DiT-Nano", 64, 4)
    # tokens cost, channels hardly do
    sizes = [trace.marker.size for trace in made.choices["training compute"].figure.data]
    assert min(sizes) > 0.9 * max(sizes)


def test_the_published_ones():
    made = published_costs(published_rows())
    texts = [note.text for note in made.figure.layout.annotations]
    assert texts[0] == "<b>RAE</b><br>196,608 numbers" and texts[-1] == "<b>SD</b><br>4,096 numbers"
    assert made.rows.set_index("ae").compression.to_dict() == {"sd": 48, "flux1": 12, "flux2": 6, "rae": 1}


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(LrcoreError, match="feature_network"):
        study_costs(two_networks(), reconstruction_rows())
    with pytest.raises(LrcoreError, match="no rows"):
        published_costs(published_rows().query("table != 'latent size'"))


def test_names_lie_on_nothing(made):
    for shown in [*made.choices.values(), published_costs(published_rows())]:
        shares = shares_of_axes(shown.figure, shown.rows)
        notes = shown.figure.layout.annotations
        assert len(notes) == len(shares)
        for plot in PLOTS:
            assert not overlapping([covered(note, *share, plot) for note, share in zip(notes, shares, strict=True)])


@pytest.mark.parametrize(("text", "page"), [("#1f2328", "#ffffff"), ("#e6edf3", "#161b22")], ids=["light", "dark"])
def test_a_text_can_be_read_in_a_point_of_any_colour(text: str, page: str) -> None:
    for name in [*naming.AES, "mine", "yours", "theirs", "one more"]:
        point = blended(naming.ae_style(name).colour, page, OPACITY)
        assert contrast(text, point) >= 4.5, name


@pytest.mark.parametrize(
    ("cost", "costs", "said"),
    [
        ("latent_values", [1.0, 3.0, 2.0], "A latent of FLUX.1 holds 3 times as many numbers as one of SD"),
        ("latent_values", [1.0, 1.2, 1.2], "A latent of FLUX.1 or FLUX.2 holds 20 % more numbers than one of SD"),
        ("latent_values", [2.0, 2.0, 2.0], "The latents are of one size"),
        ("latent_values", [2.0], "What the latent space of SD costs"),
        ("training_flops", [4.0, 1.0, 2.0], "Training to the best distance costs 4 times as much for SD as for FLUX.1"),
        (
            "training_flops",
            [1.0, 1.0, 1.1],
            "Training to the best distance costs 10 % more for FLUX.2 than for SD or FLUX.1",
        ),
        ("training_flops", [1.0, 1.0, 1.0], "Training costs the same for all three"),
        ("training_flops", [1.0, 1.004], "Training costs the same for both, within 0.4 %"),
        ("training_flops", [1.0, 1.0103, 1.0], "Training costs the same for all three, within 1.1 %"),
    ],
)
def test_the_title_says_who_costs_least_and_most(cost, costs, said):
    points = pandas.DataFrame({"ae": ["sd", "flux1", "flux2"][: len(costs)], cost: costs})
    assert finding(points, cost) == said


def test_words_and_distances_below_0():
    assert published_costs(published_rows()).words.notes.endswith("Source: FLUX.2 representation comparison.")
    rows = generation_rows().assign(model="DiT-Nano", batch_size=8)
    below = study_costs(rows.assign(fid=rows["fid"] - 10), reconstruction_rows()).choices["training compute"]
    assert below.figure.layout.yaxis.type == "linear" and len(below.figure.data) == 4
    assert not math.isnan(below.figure.layout.yaxis.range[0])
