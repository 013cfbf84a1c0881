"""Text in somebody else's rows is only text: on pages, in figures, in downloads."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser

import pandas
import plotly.graph_objects as go
import pypandoc
import pytest
from figure_rows import generation_rows, published_rows, study, with_choice
from foreign_text import FOREIGN

from lrcore.figures import (
    agreement,
    agreement_prose,
    best,
    curves,
    dictionary,
    differences,
    learnability,
    prose,
    reconstruction,
    sensitivity,
    studies,
    tradeoff,
)
from lrcore.figures.embed import Embedded, csv_link
from lrcore.figures.markdown import code, escaped
from lrcore.figures.site_figure import SiteFigure, Words, figure_spec
from lrcore.figures.site_table import SiteTable, table_options
from lrcore.results import claims
from lrcore.results.claim_parts import Claim
from lrcore.results.study_rows import StudyRows

PUBLISHED = published_rows()
EVERY_FOREIGN = " ".join(FOREIGN.values())


class Tags(HTMLParser):
    """The names of the elements, the names and values of the attributes, and the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join("".join(self.words).split())


def html_of(markdown: str) -> str:
    """What Pandoc makes of it, as the pages are read."""
    command = [pypandoc.get_pandoc_path(), "--from", "markdown+autolink_bare_uris", "--to", "html5", "--wrap", "none"]
    return subprocess.run(command, input=markdown, capture_output=True, text=True, check=True).stdout


def require_harmless(found: Tags) -> None:
    assert not {"img", "a", "iframe", "em", "h1", "h2"} & set(found.names)
    assert not [name for name, _ in found.attributes if name.startswith("on")]


def test_markdown_shows_the_text_itself() -> None:
    shown = "\n\n".join(
        f"{rule(text)} and\n\n- {rule(text)}\n\nstudy {rule(text)}."
        for rule in (escaped, code)
        for text in FOREIGN.values()
    )
    assert "{{<" not in shown and ":::" not in shown
    found = Tags(html_of(shown))
    require_harmless(found)
    for text in FOREIGN.values():
        assert found.said.count(" ".join(text.split())) >= 6, text


def test_ordinary_names_are_not_changed() -> None:
    for name in ("FLUX.2 unaligned", "PCA 4", "TAEF2", "FD (EfficientNet-Lite0)", "KID × 1000", "cifar10"):
        assert escaped(name) == name
    assert code("cifar10/train[:1024]") == "`cifar10/train[:1024]`" and code("cifar10-cpu") == "`cifar10-cpu`"


def renamed(rows: pandas.DataFrame) -> pandas.DataFrame:
    return rows.assign(ae=rows["ae"].replace("rae", EVERY_FOREIGN))


@pytest.fixture(scope="module")
def foreign() -> StudyRows:
    """A study of which an autoencoder and everything else that is text says `EVERY_FOREIGN`."""
    columns = ("dataset", "model", "label_rule", "sampler", "reference", "feature_network", "feature_protocol")
    texts = dict.fromkeys(columns, EVERY_FOREIGN)
    rows = with_choice(study(generation_rows()))
    return dataclasses.replace(
        rows,
        generation=renamed(rows.generation.assign(**texts)),
        confirmed=renamed(rows.confirmed.assign(**texts)),
        reconstruction=renamed(rows.reconstruction),
        latents=renamed(rows.latents),
    )


@pytest.fixture(scope="module")
def judged(foreign: StudyRows) -> list[Claim]:
    return [
        dataclasses.replace(claim, here=f"{claim.here} {EVERY_FOREIGN}", verdict="does not hold")
        for claim in claims.judged(foreign, PUBLISHED)
    ]


def test_prose_holds_no_markup_of_the_rows(foreign: StudyRows, judged: list[Claim]) -> None:
    texts = [
        prose.protocol(foreign.generation.assign(study=EVERY_FOREIGN)),
        prose.best_of_study(foreign.generation.assign(study=EVERY_FOREIGN)),
        agreement_prose.disagreements(EVERY_FOREIGN, judged),
    ]
    for rows in (foreign, dataclasses.replace(foreign, name=EVERY_FOREIGN)):
        texts += [
            prose.measured_again(rows),
            agreement_prose.order_in_words(rows, PUBLISHED),
            agreement_prose.predictors_in_words(rows),
            agreement_prose.samples_in_words(rows),
            agreement_prose.noise_in_words(rows),
            agreement_prose.verdicts_in_words({rows.name: judged}, {rows.name: rows}),
            learnability.learned_in_words({rows.name: rows}),
            agreement_prose.band_in_words([rows]),
            prose.decided_by(rows.generation),
        ]
    assert sum(re.search("onerror", text) is not None for text in texts) > 12
    shown = "\n\n".join(texts)
    assert "{{<" not in shown and ":::" not in shown
    require_harmless(Tags(html_of(shown)))


EMBEDDED: dict[str, Callable[[StudyRows], Embedded]] = {
    "ranks": lambda rows: agreement.ranks(rows, PUBLISHED),
    "curves": lambda rows: curves.distance_over_steps(rows.generation),
    "noise": differences.against_noise,
    "sensitivity": lambda rows: sensitivity.parameter_sensitivity(rows.generation),
    "tradeoff": lambda rows: tradeoff.study_tradeoff(rows.compared, rows.reconstruction),
    "reconstruction": lambda rows: reconstruction.study_reconstruction(rows.reconstruction),
    "dictionary": lambda rows: dictionary.rows_of_studies({rows.name: rows}),
    "switch": lambda rows: studies.of_transformers(
        {rows.name: rows, EVERY_FOREIGN: rows}, lambda one: best.best_parameters(one.generation)
    ),
}


@pytest.mark.parametrize("name", [*EMBEDDED, "claims"])
def test_figures_and_tables_hold_no_markup_of_the_rows(name: str, foreign: StudyRows, judged: list[Claim]) -> None:
    embedded = agreement.claims_table(foreign.name, judged) if name == "claims" else EMBEDDED[name](foreign)
    markup = embedded.markup
    found = Tags(markup)
    assert "onerror" in markup and "{{<" not in markup
    assert not {"img", "iframe"} & set(found.names)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    links = [value for name, value in found.attributes if name == "href"]
    assert all(link.startswith("data:text/csv;") for link in links)
    kinds = [value for name, value in found.attributes if name == "type"]
    assert found.names.count("script") == kinds.count("application/json")


def test_what_figures_say_themselves_is_left_and_the_rest_is_text() -> None:
    name = "x<img src=x> <a href='https://a.example'>a</a> <BR> 3 < 4 & 5 &lt;"
    trace = go.Scatter(x=[name], y=[1], name=name, text=[f"<b>{name}</b><br>2"], hovertemplate=f"{name}<extra></extra>")
    spec = figure_spec(go.Figure(trace, layout={"title": f"Finding:<br>{name}"}))
    shown = "x&lt;img src=x> &lt;a href='https://a.example'>a&lt;/a> &lt;BR> 3 &lt; 4 &amp; 5 &amp;lt;"
    assert spec["data"][0]["name"] == spec["data"][0]["x"][0] == shown
    assert spec["data"][0]["text"] == [f"<b>{shown}</b><br>2"]
    assert spec["data"][0]["hovertemplate"] == f"{shown}<extra></extra>"
    assert spec["layout"]["title"]["text"] == f"Finding:<br>{shown}"


def test_downloads_hold_no_formulas_and_numbers_as_they_are() -> None:
    cells = ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", "a=b", "−1", ""]
    frame = pandas.DataFrame({"=name": cells, "value": [-1.5, 2.0, float("nan"), -0.0, 1e-9, 3.0, 4.0, 5.0]})
    frame = frame.assign(count=range(-4, 4))
    encoded = re.search(r"base64,([^\"]*)", csv_link(frame, "rows"))
    assert encoded
    text = base64.b64decode(encoded[1]).decode()
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["'=name", "value", "count"]
    assert [row[0] for row in rows] == ["'=1+1", "'+1", "'-cmd", "'@SUM(A1)", "'\t=1", "a=b", "−1", ""]
    numbers = pandas.read_csv(io.StringIO(text))
    assert numbers["count"].tolist() == frame["count"].tolist() and numbers["value"].equals(frame["value"])


def test_tables_that_scripts_draw_are_escaped() -> None:
    frame = pandas.DataFrame({EVERY_FOREIGN: [EVERY_FOREIGN, EVERY_FOREIGN], "n": [1.0, 2.0]})
    table = SiteTable(frame, "rows", EVERY_FOREIGN)
    options = table_options(table.frame)
    assert "<img" not in options["data_json"] and "<img" not in options["table_html"]
    found = Tags(
        SiteFigure(go.Figure(), frame, "rows", EVERY_FOREIGN, Words(EVERY_FOREIGN, EVERY_FOREIGN, EVERY_FOREIGN)).markup
        + table.markup
    )
    assert "img" not in found.names and EVERY_FOREIGN in dict(found.attributes).values()
