"""What a page gets from `SiteFigure` and `SiteTable`: valid, safe, and complete."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy
import pandas
import plotly.graph_objects as go
import pytest
from bs4 import BeautifulSoup

from lrcore.errors import LrcoreError
from lrcore.figures import fetched
from lrcore.figures.embed import Markup, raw_html, script_json
from lrcore.figures.site_figure import DEFAULT_HEIGHT, SiteFigure, SteppedFigure, Words
from lrcore.figures.site_table import FEW_ROWS, SiteTable, numeric_columns, table_options
from lrcore.figures.switch import Switch
from lrcore.results.numbers import shown

ROWS = pandas.DataFrame({"ae": ["sd", "</script><b>"], "fid": [7.727, float("nan")], "step": [100, 200]})


def soup_of(shown: SiteFigure | SiteTable | SteppedFigure | Switch) -> BeautifulSoup:
    markdown = shown._repr_markdown_()
    fence = markdown.partition("{")[0]
    assert markdown.startswith(f"{fence}{{=html}}\n") and markdown.endswith(f"\n{fence}\n") and set(fence) == {"`"}
    return BeautifulSoup(markdown.split("\n", 1)[1].rsplit("\n", 2)[0], "html.parser")


def spec_of(soup: BeautifulSoup) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(soup.select_one("script[type='application/json']").string, parse_constant=refuse)


WORDS = Words("One is first", "What was measured")


def make_figure(**fields: Any) -> SiteFigure:
    y = [1.0, float("nan"), math.inf]
    figure = go.Figure(go.Scatter(x=[1, 2, 3], y=y, text=["a", "</script>", "`````"]))
    return SiteFigure(
        **{"figure": figure, "rows": ROWS, "name": "a-figure", "alt": 'says "x" < 2', "words": WORDS, **fields}
    )


def test_a_figure_stands_between_its_words() -> None:
    words = Words("A beats <B>", "FID of 100 samples, lower is better", "Source: nobody")
    parts = [
        part.get("class", ["script"])[0] for part in soup_of(make_figure(words=words)).div.find_all(recursive=False)
    ]
    assert parts[:4] == ["lrcore-title", "lrcore-subtitle", "lrcore-figure-scroll", "lrcore-note"]
    assert soup_of(make_figure(words=words)).select_one(".lrcore-title").text == "A beats <B>"


def test_figure_holds_its_spec_its_words_and_its_height() -> None:
    soup = soup_of(make_figure(figure=go.Figure(layout={"height": 321}), min_width=700))
    plot = soup.select_one(".lrcore-figure .lrcore-plot[role=img]")
    assert plot["aria-label"] == 'says "x" < 2' == plot.select_one("p.lrcore-alt").text
    assert "min-height:321px" in plot["style"] and "min-width:700px" in plot["style"]
    assert set(spec_of(soup)) == {"data", "layout"}


def test_nothing_that_is_not_a_number_reaches_the_page() -> None:
    markdown = make_figure()._repr_markdown_()
    assert markdown.startswith("``````{=html}")  # longer than the run of backticks inside
    inside = markdown.split("\n", 1)[1].rsplit("\n", 2)[0]
    spec = spec_of(BeautifulSoup(inside, "html.parser"))
    assert spec["data"][0]["y"] == [1.0, None, None]
    assert spec["data"][0]["text"][1] == "&lt;/script>"  # as plotly.js shows it, not as an element
    assert inside.count("</script>") == 1


def test_numpy_values_survive() -> None:
    figure = go.Figure(go.Scatter(x=numpy.arange(3), y=numpy.array([1.0, numpy.nan, 2.0])))
    trace = spec_of(soup_of(make_figure(figure=figure)))["data"][0]
    assert trace["y"] == [1.0, None, 2.0] or "bdata" in trace["y"]


@pytest.mark.parametrize("made", [make_figure(figure=go.Figure()), SiteTable(ROWS, "a-table", "rows")])
def test_download_holds_every_row(made: SiteFigure | SiteTable) -> None:
    link = soup_of(made).select_one("a[download]")
    assert link["download"] == f"{made.name}.csv"
    text = base64.b64decode(link["href"].split("base64,")[1]).decode()
    pandas.testing.assert_frame_equal(pandas.read_csv(io.StringIO(text)), ROWS)


def test_table_is_readable_without_scripts_and_whole_with_them() -> None:
    many = pandas.DataFrame({"x": [1.23456789] * 500, "name": ["<i>"] * 500})
    soup = soup_of(SiteTable(many, "big", "five hundred rows"))
    table = soup.select_one("table")
    assert table["data-quarto-disable-processing"] == "true" and table["aria-label"] == "five hundred rows"
    assert len(table.select("tbody tr")) == 500 and table.select_one("td").text == "1.23"
    assert not table.select("i")
    options = spec_of(soup)
    rows = json.loads(options["data_json"])
    assert len(rows) == 500 and rows[0][0] == ["1.23", 1.23456789]
    assert options["paging"] and "downsampling_warning" not in options


def test_few_rows_need_no_script_to_be_read() -> None:
    for rows, scripts in ((FEW_ROWS, 0), (FEW_ROWS + 1, 1)):
        frame = pandas.DataFrame({"x": range(rows), "y": range(rows)})
        assert len(soup_of(SiteTable(frame, "few", "a few rows")).select("script")) == scripts


def test_what_is_the_same_in_every_row_is_said_once() -> None:
    frame = pandas.DataFrame(
        {"ae": ["sd", "rae"], "fid": [9.0, 9.0], "step": [100, 100], "gap": [math.nan] * 2, "x": [1, 2]}
    )
    soup = soup_of(SiteTable(frame, "same", "rows alike"))
    assert [cell.text for cell in soup.select("th")] == ["ae", "fid", "x"]
    assert soup.select_one(".lrcore-note").text == "In every row: step 100."
    assert len(soup_of(SiteTable(frame.head(1), "one", "one row")).select("th")) == 5


def test_missing_values_sort_as_missing_and_show_as_a_dash() -> None:
    soup = soup_of(SiteTable(ROWS, "gaps", "rows with a gap"))
    assert [row.select("td")[1].text for row in soup.select("tbody tr")] == ["7.73", "–"]


@pytest.mark.parametrize("name", ["", "Upper", "with space", "-x", "x--y", "../up"])
def test_names_are_slugs(name: str) -> None:
    with pytest.raises(LrcoreError, match="lower-case letters"):
        make_figure(name=name)
    with pytest.raises(LrcoreError, match="lower-case letters"):
        SiteTable(ROWS, name, "rows")


def test_words_and_rows_are_required() -> None:
    with pytest.raises(LrcoreError, match="'a-figure' needs a non-empty alt"):
        make_figure(alt=" ")
    with pytest.raises(LrcoreError, match="'t' needs a non-empty caption"):
        SiteTable(ROWS, "t", "")
    with pytest.raises(LrcoreError, match="'t' has no rows"):
        SiteTable(ROWS.head(0), "t", "rows")


def test_html_output_is_never_offered() -> None:
    # Quarto adds scripts of another host to a page that has a text/html output.
    for shown_class in (SiteFigure, SiteTable):
        assert not hasattr(shown_class, "_repr_html_") and not hasattr(shown_class, "_repr_javascript_")


def test_helpers() -> None:
    assert script_json({"a": "{{< x >}} & </script>"}) == '{"a":"{{\\u003c x \\u003e}} \\u0026 \\u003c/script\\u003e"}'
    with pytest.raises(ValueError):
        script_json(float("nan"))
    assert raw_html("x") == "```{=html}\nx\n```\n"
    assert [shown(x) for x in (1.0, -0.0, 999.96, 1000.0, math.inf)] == ["1", "0", "1,000", "1,000", "inf"]
    assert DEFAULT_HEIGHT > 0


def make_stepped(**fields: Any) -> SteppedFigure:
    frames = {text: go.Figure(go.Scatter(x=[1, 2], y=[0, value])) for text, value in (("1.00", 1), ("2.00", 2))}
    told = {"start": "2.00", "label": "train shift", "rows": ROWS, "name": "stepped", "alt": "A line", "words": WORDS}
    return SteppedFigure(**{"frames": frames, **told, **fields})


def test_a_slider_goes_through_the_frames_and_starts_where_it_is_told() -> None:
    soup = soup_of(make_stepped())
    slider = soup.select_one(".lrcore-figure > label input[type=range]")
    assert (slider["min"], slider["max"], slider["value"], slider["aria-valuetext"]) == ("0", "1", "1", "2.00")
    assert soup.select_one("label").get_text(" ", strip=True) == "train shift 2.00"
    spec = spec_of(soup)
    assert [frame["label"] for frame in spec["frames"]] == ["1.00", "2.00"]
    assert [frame["data"][0]["y"][1] for frame in spec["frames"]] == [1, 2]


def test_a_slider_that_cannot_be_is_refused() -> None:
    with pytest.raises(LrcoreError, match=r"unknown frame '3\.00'"):
        make_stepped(start="3.00")
    with pytest.raises(LrcoreError, match="at least two frames"):
        make_stepped(frames={"2.00": go.Figure()})


def test_a_switch_shows_its_first_choice_and_holds_the_others() -> None:
    first, second = make_figure(name="one"), make_figure(name="two")
    soup = soup_of(Switch({"a": first, "b <": second}))
    buttons = soup.select("fieldset input[type=radio]")
    assert [(button["value"], button.has_attr("checked")) for button in buttons] == [("a", True), ("b <", False)]
    assert len({button["name"] for button in buttons}) == 1
    shown_parts = [part for part in soup.select(".lrcore-choice") if not part.has_attr("hidden")]
    assert len(shown_parts) == 1 and shown_parts[0].select_one("#figure-one")
    other = soup_of(Switch({"a": second, "b <": first})).select_one("input")
    assert other["name"] != buttons[0]["name"]


def test_views_that_only_a_script_shows_are_marked() -> None:
    views = soup_of(Switch({"a": make_figure(name="one"), "b": make_figure(name="two")}, scripted=True))
    assert len(views.select(".lrcore-choice.lrcore-scripted")) == 2
    assert not soup_of(Switch({"a": make_figure(name="one"), "b": make_figure(name="two")})).select(".lrcore-scripted")


def test_a_switch_of_one_is_the_thing_itself() -> None:
    assert Switch({"a": make_figure()}).markup == make_figure().markup
    with pytest.raises(LrcoreError, match="at least one choice"):
        Switch({})


def test_what_is_not_shown_at_first_is_fetched_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = make_figure(figure=go.Figure(go.Scatter(y=list(range(3000)))), rows=pandas.DataFrame({"x": range(3000)}))
    switch = Switch({"one": make_figure(), "two": long})
    inline = soup_of(switch)
    monkeypatch.setenv(fetched.FOLDER, str(tmp_path / "fetched"))
    first, second = soup_of(switch).select(".lrcore-choice")
    assert str(first) == str(inline.select(".lrcore-choice")[0])
    spec, rows = second.select_one("script.lrcore-spec"), second.select_one("a[download]")
    assert not spec.string and rows["download"] == "a-figure.csv"
    kept = {path.name: path.read_text() for path in (tmp_path / "fetched").iterdir()}
    assert json.loads(kept[spec["data-from"].removeprefix("fetched/")]) == spec_of(inline.select(".lrcore-choice")[1])
    assert pandas.read_csv(io.StringIO(kept[rows["href"].removeprefix("fetched/")]))["x"].tolist() == list(range(3000))
    assert str(second) == str(soup_of(switch).select(".lrcore-choice")[1]) and len(kept) == 2


def test_a_number_stays_on_one_line_with_its_error() -> None:
    frame = pandas.DataFrame(
        {"ae": ["sd"] * 11, "psnr": ["25.05 ± 0.07"] * 11, "std": ["0.96 – 1.05"] * 11, "x": range(11)}
    )
    soup = soup_of(SiteTable(frame, "errors", "numbers with errors"))
    assert soup.select("td")[1].text == "25.05\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.07"
    first = json.loads(spec_of(soup)["data_json"])[0]
    assert first[1] == "25.05\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.07"  # what is the same stands below


def test_columns_of_numbers_are_marked() -> None:
    frame = pandas.DataFrame(
        {
            "name": ["a", "b", "c"],
            "mean": ["0.157 ± 0.009", "\N{MINUS SIGN}1.2", "(4.1 ± 0.3)e\N{MINUS SIGN}4"],
            "range": ["0.96 – 1.05", "–", "1.00 – 1.00"],
            "share": ["+62 %", "\N{MINUS SIGN}38 %", "n/a"],
            "step": [1000, 2000, 3000],
            "value": [0.5, math.nan, 2.0],
            "shift": ["1.00", "1.00, of 2 tried", "2.95"],
            "none": ["–"] * 3,
        }
    )
    quoted = pandas.DataFrame({"name": ["a"], "rfid": ["0.6451 (0.62)"], "of": ["0.5 (rough)"]})
    assert numeric_columns(quoted) == [1]
    assert numeric_columns(frame) == [1, 2, 3, 4, 5]
    soup = BeautifulSoup(SiteTable(frame, "some", "Some numbers").markup, "html.parser")
    rows = [[cell.get("class") == ["lrcore-number"] for cell in row.select("th, td")] for row in soup.select("tr")]
    assert rows == [[False, True, True, True, True, True, False]] * 4  # the column of nothing is left out
    assert soup.select_one("td.lrcore-number").text == "0.157\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.009"
    many = pandas.concat([frame] * 4)
    *own, marked = table_options(many)["columnDefs"]
    assert marked == {"className": "lrcore-number", "targets": [1, 2, 3, 4, 5]}
    assert own  # by which floats are sorted by their full value


def test_paper_says_which_choice_it_shows() -> None:
    switch = Switch({"one": Markup("a"), "two": Markup("b")}, notes={"two": "partial"})
    parts = BeautifulSoup(switch.markup, "html.parser").select(".lrcore-choice")
    assert [part["data-said"] for part in parts] == ["Study: one", "Study: two (partial)"]
