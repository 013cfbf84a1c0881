"""lrcore.figures.headline: what the landing page and the README say first, of rows whose answers are known."""

from pathlib import Path

import pandas
import pytest
from atlas_rows import GROUPS, WORKS, atlas_rows
from figure_rows import published_rows

from lrcore import read_atlas, read_published
from lrcore.errors import LrcoreError
from lrcore.figures import atlas_forest, atlas_prose, headline
from lrcore.figures.site_figure import SiteFigure
from lrcore.records.atlas_sources import read_groups

PROJECT = Path(__file__).parents[2]
RECONSTRUCTION, WINNER, TIMESTEPS = (
    "posts/field.qmd#sec-reconstruction",
    "posts/field.qmd#sec-winner",
    "posts/representation-comparison.qmd#sec-sensitivity",
)


@pytest.fixture(scope="module")
def rows():
    return atlas_rows()


@pytest.fixture(scope="module")
def told(rows):
    return atlas_forest.computed(rows, GROUPS, atlas_prose.RECONSTRUCTION)


def turned(told, *, low, high):
    """The same groups with other intervals."""
    return {x: part.assign(low=low, high=high) for x, part in told.items()}


def test_the_readme_says_what_the_rows_say_today():
    atlas = read_atlas(PROJECT / "data")
    told = atlas_forest.computed(atlas, read_groups(PROJECT / "data"), atlas_prose.RECONSTRUCTION)
    said = headline.listed(headline.sentences(atlas, told, read_published(PROJECT / "data")))
    assert said in (PROJECT / "README.md").read_text()


def test_every_finding_leads_to_a_section_that_there_is(rows, told):
    for page in headline.sentences(rows, told, published_rows()):
        name, section = page.split("#")
        assert f"{{#{section}}}" in (PROJECT / name).read_text()


def test_reconstructions_are_spoken_of_as_the_groups_that_count_say(rows, told):
    def said(of):
        return headline.sentences(rows, of, published_rows())[RECONSTRUCTION]

    assert "Of 3 correlations in 2 published groups of 10 latent spaces, 3 clearly link" in said(
        told
    ) and "worse samples, and none" in said(told)
    psnr = {"psnr": told["psnr"]}  # of better PSNR the gFID rises
    assert said(turned(psnr, low=0.1, high=0.9)).startswith(
        "**Better reconstructions do not foretell better samples.**"
    )
    assert said(turned(psnr, low=-0.9, high=-0.1)).startswith("**Better reconstructions go with better samples.** Of 1")
    assert "None of 1 correlation in one published group of 10 latent spaces is clear" in said(
        turned(psnr, low=-0.1, high=0.1)
    )
    both = turned(psnr, low=0.1, high=0.9) | {"rfid": told["rfid"].assign(low=0.1, high=0.9)}
    assert said(both).startswith("**Reconstructions do not tell")


def test_a_winner_that_never_changes_is_not_said_to(rows, told):
    def said(atlas):
        return headline.sentences(atlas, told, published_rows())[WINNER]

    assert said(rows).startswith("**The ranking depends on the protocol.** Guidance swaps 2")
    assert "No change of protocol has changed the ranking" in said(rows.replace({"value": 1.2}, 1.0))


def test_the_spread_of_timesteps_is_the_published_one(rows, told):
    said = headline.sentences(rows, told, published_rows())[TIMESTEPS]
    spreads = published_rows().query("quantity == 'relative_spread_trainshift'")["value"]
    assert f"{spreads.min():g}" in said and f"{spreads.max():g}" in said
    with pytest.raises(LrcoreError, match="no published relative spread"):
        headline.sentences(rows, told, published_rows().iloc[:0])


def test_the_picture_is_of_the_largest_group_and_says_how_it_goes(rows, told):
    known = rows.assign(ae=["flux1" if name == "j" else "" for name in rows["canonical"]])
    drawn = headline.picture(known, GROUPS, WORKS, {"psnr": told["psnr"]})
    assert isinstance(drawn, SiteFigure)
    assert drawn.words.title == "Latent spaces with better reconstructions tend to have worse samples"
    assert "10 published latent spaces" in drawn.words.subtitle
    names = [note.text for note in drawn.figure.layout.annotations]
    assert names[0] == "<b>FLUX.1</b>" and "<b>j</b>" not in names
    other = headline.picture(known, GROUPS, WORKS, turned({"psnr": told["psnr"]}, low=-0.9, high=-0.1))
    assert isinstance(other, SiteFigure) and other.words.title.endswith("tend to have better samples, too")


def test_without_a_group_there_is_a_word(rows):
    assert "No protocol group" in headline.picture(rows, GROUPS, WORKS, {}).markup
    with pytest.raises(LrcoreError):
        headline.sentences(pandas.DataFrame(columns=rows.columns), {}, published_rows().iloc[:0])
