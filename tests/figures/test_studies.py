"""A figure of every study behind a switch."""

import sample_data
from bs4 import BeautifulSoup

from lrcore.figures import studies
from lrcore.figures.best import best_parameters
from lrcore.figures.embed import Markup
from lrcore.results.study_rows import load_studies, results


def test_what_shows_transformers_that_are_too_narrow_says_so(tmp_path):
    sample_data.fill(tmp_path / "data", tmp_path / "imgs")
    found = results(load_studies(tmp_path / "data"))
    shown = studies.of_transformers(found, lambda study: best_parameters(study.generation))
    parts = BeautifulSoup(shown.markup, "html.parser").select(".lrcore-choice")
    notes = {part["data-choice"]: [note.text for note in part.select(".lrcore-note")] for part in parts}
    assert not any("transformer" in note for note in notes["cifar10-cpu"])
    assert "the transformer for RAE (width 64, 112 channels)." in notes["narrow"][-1]


def test_no_study_is_a_word_instead_of_a_switch():
    assert "No study has rows" in studies.by_study({}, lambda study: best_parameters(study.generation)).markup


def test_a_figure_of_a_cell_has_its_caption_last():
    text = studies.figure("fig-x", "What it shows.", Markup("<p>shown</p>"))
    assert text == "::::: {#fig-x}\n\n```{=html}\n<p>shown</p>\n```\n\nWhat it shows.\n\n:::::"


def test_a_switch_has_what_is_published_and_every_study_but_the_check_of_the_machinery(tmp_path):
    sample_data.fill(tmp_path / "data", tmp_path / "imgs")
    found = results(load_studies(tmp_path / "data"))
    switch = studies.by_study(found, lambda study: best_parameters(study.generation))
    soup = BeautifulSoup(switch.markup, "html.parser")
    assert [button["value"] for button in soup.select("fieldset input")] == ["cifar10-cpu", "narrow"]
    assert [bool(part.has_attr("hidden")) for part in soup.select(".lrcore-choice")] == [False, True]
    published = studies.by_study(found, lambda s: best_parameters(s.generation), published=switch)
    assert list(published.choices) == ["published", "cifar10-cpu", "narrow"]
