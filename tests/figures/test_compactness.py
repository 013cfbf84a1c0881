"""lrcore.figures.compactness: areas in proportion to what a latent costs."""

import pytest
from figure_rows import generation_rows, published_rows, reconstruction_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.compactness import published_costs, study_costs
from lrcore.flow.compute import training_flops_per_image


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
    text = {trace.name: trace.text[0] for trace in made.figure.data}
    assert text["SD"] == "<b>SD</b><br>4,096 numbers" and text["RAE"] == "<b>RAE</b><br>196,608 numbers"
    assert made.rows.set_index("ae").compression.to_dict() == {"sd": 48, "flux1": 12, "flux2": 6, "rae": 1}


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(LrcoreError, match="feature_network"):
        study_costs(two_networks(), reconstruction_rows())
    with pytest.raises(LrcoreError, match="no rows"):
        published_costs(published_rows().query("table != 'latent size'"))
