"""The preview shows what a page says, and names the page and the thing when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image
from preview import build
from site_preview.problem import PreviewError

PROJECT = Path(__file__).parents[2]

SETTINGS = """\
project:
  type: website
  output-dir: _site
  execute-dir: project
  render: ["*.qmd", "posts/*.qmd"]
website:
  title: A site
  navbar:
    left:
      - text: Start
        href: index.qmd
bibliography: refs.bib
format:
  html:
    number-sections: true
    toc: true
    code-fold: true
"""
REFERENCES = "@book{key2020, title = {A title}, author = {Ann Author}, year = {2020}, publisher = {P}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "posts").mkdir()
    (tmp_path / "imgs").mkdir()
    (tmp_path / "_quarto.yml").write_text(SETTINGS)
    (tmp_path / "refs.bib").write_text(REFERENCES)
    Image.new("RGB", (4, 4)).save(tmp_path / "imgs" / "dot.png")
    write(tmp_path, "index.qmd", "Nothing yet.")
    write(tmp_path, "posts/other.qmd", "Nothing here.")
    return tmp_path


def write(project: Path, name: str, body: str, front: str = "title: A page") -> None:
    (project / name).write_text(f"---\n{front}\n---\n\n{body}\n")


def built(project: Path, name: str = "index.html") -> BeautifulSoup:
    return BeautifulSoup((build(project) / name).read_text(), "html.parser")


def refused(project: Path, body: str, message: str, name: str = "index.qmd", front: str = "title: A page") -> None:
    """Building fails with a message that names the page, and the site that was there stays."""
    old = project / "_site" / "index.html"
    old.parent.mkdir(exist_ok=True)
    old.write_text("the old site")
    write(project, name, body, front)
    with pytest.raises(PreviewError, match=message) as error:
        build(project)
    assert name in str(error.value)
    assert old.read_text() == "the old site"
    assert not [path for path in project.iterdir() if path.name.startswith("._site")]


def test_everything_a_page_may_use(project: Path) -> None:
    body = """\
See @sec-one, @fig-dot, [-@fig-dot], @tbl-a, @eq-sum, @fig-div, @key2020 and [@key2020, p. 3].

## One {#sec-one}

$$ a + b $$ {#eq-sum}

![A dot](imgs/dot.png){#fig-dot fig-alt="black" alt="black"}

| a | b |
|---|---|
| 1 | 2 |

: Two numbers {#tbl-a}

::: {#fig-div}
![](imgs/dot.png){alt="black"}

Made by *hand*.
:::

::: {.callout-tip title="Hint"}
Try it.
:::

### Deeper

[The other page](posts/other.qmd#sec-there)
"""
    front = "title: A *page*\nsubtitle: S\ndescription: D\ndate: 2026-01-02\nauthor: Ann\nabstract: Short."
    front += "\ncitation: {id: key2026}"
    write(project, "index.qmd", body, front)
    write(project, "posts/other.qmd", "## There {#sec-there}\n\n[back](../index.qmd) ![](/imgs/dot.png){alt='black'}")
    page = built(project)
    text = page.main.get_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "See Section 1, Figure 1, 1, Table 1, Equation 1, Figure 2, Author (2020) and (Author 2020, 3)." in text
    assert "Figure 1: A dot" in text and "Figure 2: Made by hand." in text and "Table 1: Two numbers" in text
    assert page.find("h3").get_text(" ", strip=True) == "1.1 Deeper"
    assert page.select_one(".callout-tip .callout-title").text.strip() == "Hint"
    assert page.select_one("math") and page.select_one("#eq-sum")
    assert page.select_one("a[href='posts/other.html#sec-there']")
    assert "title = {A Page}" in page.select_one(".cite").text
    assert page.select_one(".toc a[href='#sec-one']")
    assert "not Quarto" in page.footer.text
    other = BeautifulSoup((project / "_site/posts/other.html").read_text(), "html.parser")
    assert other.main.img["src"] == "../imgs/dot.png" and other.select_one("a.brand")["href"] == "../index.html"
    assert (project / "_site/imgs/dot.png").is_file()


def test_sections_are_numbered_from_the_highest_heading_of_the_page(project: Path) -> None:
    body = "# A\n\n## B\n\n### C\n\n## D\n\n# E {.unnumbered}\n\n# F\n\n## G"
    write(project, "index.qmd", body)
    entries = [entry.get_text(" ", strip=True) for entry in built(project).select(".toc li")]
    assert entries == ["1 A", "1.1 B", "1.1.1 C", "1.2 D", "E", "2 F", "2.1 G"]


def test_cells_run_in_the_project_folder_and_show_what_they_return(project: Path) -> None:
    body = """\
There are `{python} 6 * 7` and `{python} "a_b*"`.

```{python}
#| label: fig-cell
#| fig-cap: "A `code` caption."
from IPython.display import Markdown
from pathlib import Path
Markdown("**" + ",".join(sorted(p.name for p in Path.cwd().glob("*.qmd"))) + "**")
```

```{python}
#| echo: false
#| output: asis
print("## Printed {#sec-printed}")
```

```{python}
#| include: false
hidden = 1
```

```{python}
#| code-fold: false
#| warning: false
import warnings
warnings.warn("unseen")
hidden + 1
```

@fig-cell and @sec-printed.
"""
    write(project, "posts/cells.qmd", body)
    page = built(project, "posts/cells.html")
    assert "There are 42 and a_b*." in page.main.get_text()
    assert page.select_one("figure#fig-cell strong").text == "index.qmd"
    assert page.select_one("figure#fig-cell figcaption code").text == "code"
    assert [head.text.split()[-1] for head in page.select("h2")][:1] == ["Printed"]
    assert len(page.select("details.code-fold")) == 1 and "hidden = 1" not in page.text
    assert page.select("pre")[-1].text.strip() == "2"
    assert "unseen" not in page.main.get_text().replace('warnings.warn("unseen")', "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("@fig-none", "unresolved reference @fig-none"),
        ("@nobody1999", "unknown citation @nobody1999"),
        ("[x](nowhere.qmd)", "dead link to 'nowhere.html'"),
        ("[x](nowhere.txt)", "dead link to 'nowhere.txt'"),
        ("[x](#nowhere)", "#nowhere' is a dead link"),
        ("![x](imgs/none.png)", "missing image 'imgs/none.png'"),
        ("![](imgs/dot.png)", "image 'imgs/dot.png' has no alternative text"),
        ("<img src='https://example.org/x.png' alt='x'>", "loads from another host"),
        ("<script src='//example.org/x.js'></script>", "loads from another host"),
        ("{{< video x >}}", r"shortcode \{\{< video x >\}\}"),
        ("```{r}\n1\n```", r"a cell '\{r\}' \(line 5\)"),
        ("```{python}\n1", "line 5 is never closed"),
        ("`{r} 1`", r"the expression `\{r\} 1`"),
        ("::: {.panel-tabset}\nx\n:::", "panel-tabset"),
        ('::: {layout-ncol="2"}\nx\n:::', "layout-ncol"),
        ("::: {#fig-x}\nonly words\n:::", "'fig-x' needs content, and a caption"),
        ("x {#eq-x}", "'eq-x' does not follow an equation"),
        ("```{=latex}\nx\n```", "raw latex"),
        ("## A {#sec-a}\n\n## B {#sec-a}", "sec-a"),
        ("$$ \\nosuchmacro{x} $$", "nosuchmacro"),
        ("```{python}\n#| fig-width: 3\n1\n```", "does not understand 'fig-width'"),
        ("```{python}\n#| label: fig-x\n1\n```", "cell 'fig-x' has no fig-cap"),
        ("```{python}\n#| label: x\n#| tbl-cap: T\n1\n```", "label must start 'tbl-'"),
        ("```{python}\n#| output: [\n1\n```", "not valid YAML"),
    ],
)
def test_refusals(project: Path, body: str, message: str) -> None:
    refused(project, body, message)


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("title: T\nlisting: x", "'listing'"),
        ("subtitle: S", "no title"),
        ("title: [", "not valid YAML"),
        ("title: T\ncitation: {id: key2026}\ndate: 2026-01-02", "'citation' needs 'author' too"),
        ("title: T\ncitation: {id: key2026}\nauthor: Ann", "'citation' needs 'date' too"),
        ("title: T\ndate: soon", "'date: soon' has the wrong type"),
        ("title: T\nauthor: [{family: Author}]", "an author has no name"),
    ],
)
def test_front_matter_refusals(project: Path, front: str, message: str) -> None:
    refused(project, "x", message, front=front)


def test_page_without_front_matter(project: Path) -> None:
    (project / "index.qmd").write_text("only text\n")
    with pytest.raises(PreviewError, match=r"index\.qmd: no front matter"):
        build(project)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("#| label: broken\n1 / 0", r"cell 'broken' \(line 5\) failed:[\s\S]*ZeroDivisionError"),
        ("import sys; sys.stderr.write('careful')", r"cell at line 5 writes a warning into the page:\s+careful"),
        ("import pandas; pandas.DataFrame({'a': [1]})", "returns text/html: Quarto would add scripts of another host"),
        ("import os; os._exit(1)", "the Python that runs the cells died"),
    ],
)
def test_cell_refusals(project: Path, cell: str, message: str) -> None:
    refused(project, f"```{{python}}\n{cell}\n```", message)


def test_a_page_that_fails_ends_those_that_still_run(project: Path) -> None:
    write(project, "index.qmd", "```{python}\nimport time; time.sleep(2)\n1 / 0\n```")
    write(project, "posts/other.qmd", "```{python}\nimport time; time.sleep(250)\n```")
    command = [sys.executable, str(PROJECT / "tools" / "preview.py"), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "preview: index.qmd: cell at line 5 failed" in done.stderr and "other.qmd" not in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("execute-dir: project", "execute-dir: file", "'project.execute-dir: file'"),
        ("toc: true", "toc: true\n    self-contained: true", "'format.html.self-contained'"),
        ("toc: true", "html-math-method: katex", "'format.html.html-math-method: katex'"),
        ("toc: true", "toc: 1.5", "'format.html.toc: 1.5' has the wrong type"),
        ('"posts/*.qmd"', '"pages/*.qmd"', "'pages/\\*.qmd' matches no file"),
        ("href: index.qmd", "href: index.qmd\n        icon: x", "an entry of navbar"),
        ("title: A site", "title: A site\n  image: card.png", "'card.png' is no file, named from"),
        ("title: A site", "title: A site\n  image: /card.png", "'/card.png' is no file, named from"),
        ("title: A site", "title: A site\n  image: /imgs/dot.png", "image needs its words, image-alt"),
        ("title: A site", "title: A site\n  favicon: none.svg", r"dead link to '\./none\.svg'"),
        ("title: A site", "title: A site\n  search: true", "'website.search'"),
        ("refs.bib", "none.bib", "none.bib"),
    ],
)
def test_settings_refusals(project: Path, old: str, new: str, message: str) -> None:
    assert old in SETTINGS
    (project / "_quarto.yml").write_text(SETTINGS.replace(old, new))
    with pytest.raises(PreviewError, match=message):
        build(project)


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(PreviewError, match=r"no _quarto\.yml"):
        build(tmp_path)


CARD = """\
website:
  favicon: imgs/icon.svg
  image: /imgs/dot.png
  image-alt: A "dot"
  description: Of the site.
  open-graph: true
  twitter-card: true
"""


def published_at(project: Path, address: str | None) -> None:
    """Settings with an icon and a card, for a site at `address`."""
    site_url = f"  site-url: {address}\n" if address else ""
    (project / "_quarto.yml").write_text(SETTINGS.replace("website:\n", CARD + site_url))
    (project / "imgs" / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")


def said(page: BeautifulSoup, kind: str) -> dict[str, str]:
    """What the `<meta>` elements of a kind (og, twitter) say."""
    metas = page.find_all("meta")
    names = [(str(meta.get("property") or meta.get("name")), str(meta.get("content"))) for meta in metas]
    return {name.removeprefix(f"{kind}:"): content for name, content in names if name.startswith(f"{kind}:")}


def test_a_link_to_a_page_is_shown_with_a_card(project: Path) -> None:
    published_at(project, "https://example.org/sub")
    write(project, "index.qmd", "Text.", "title: A *page*\ndescription: Of <it>.")
    page = built(project)
    image = {"image": "https://example.org/sub/imgs/dot.png", "image:alt": 'A "dot"'}
    shown = {"title": "A page – A site", "description": "Of <it>."}
    size = {"image:width": "4", "image:height": "4"}
    assert said(page, "og") == {**shown, **image, **size, "site_name": "A site"}
    assert said(page, "twitter") == {**shown, **image, "card": "summary_large_image"}
    assert (project / "_site" / "imgs" / "dot.png").is_file()
    other = BeautifulSoup((project / "_site" / "posts" / "other.html").read_text(), "html.parser")
    assert said(other, "og")["description"] == "Of the site."
    assert other.select_one("link[rel=icon]")["href"] == "../imgs/icon.svg"
    assert (project / "_site" / "imgs" / "icon.svg").is_file()


def test_a_card_has_no_picture_until_the_address_is_known(project: Path) -> None:
    published_at(project, None)
    page = built(project)
    assert said(page, "twitter")["card"] == "summary" and "image" not in said(page, "og")


def test_no_card_where_none_is_asked_for(project: Path) -> None:
    assert not said(built(project), "og") and not said(built(project), "twitter")


def test_citation_of_authors_who_are_no_persons(project: Path) -> None:
    published_at(project, "https://example.org/sub/")
    names = "author:\n  - name: {literal: The site authors}\n  - Ann B. Author\n  - name: {family: Ode, given: C.}\n"
    write(project, "posts/other.qmd", "Text.", f"title: T\n{names}date: 2026-03-04\ncitation:\n  id: key2026")
    page = built(project, "posts/other.html")
    entry = page.select_one(".cite code").text
    assert entry.startswith("@online{key2026,")
    assert "author = {{The site authors} and B. Author, Ann and Ode, C.}" in entry
    assert "date = {2026-03-04}" in entry and "url = {https://example.org/sub/posts/other.html}" in entry
    assert "The site authors, Ann B. Author, and C. Ode. 2026." in page.select_one(".cite").text
    assert page.select_one(".byline").text == "The site authors · Ann B. Author · C. Ode · 2026-03-04"


def test_sitemap_lists_the_pages_where_the_address_is_known(project: Path) -> None:
    write(project, "404.qmd", "Nothing.")
    assert not (build(project) / "sitemap.xml").exists()
    published_at(project, "https://example.org/a&b/")
    site = build(project)
    listed = [place.text for place in ElementTree.parse(site / "sitemap.xml").findall(".//{*}loc")]
    assert listed == ["https://example.org/a&b/index.html", "https://example.org/a&b/posts/other.html"]
    assert (site / "robots.txt").read_text() == "Sitemap: https://example.org/a&b/sitemap.xml\n"


@pytest.mark.parametrize(("address", "root"), [(None, "/"), ("https://example.org/sub", "/sub/")])
def test_the_page_for_a_missing_page_works_at_any_depth(project: Path, address: str | None, root: str) -> None:
    published_at(project, address)
    write(project, "404.qmd", "[Start](/index.qmd), [other](posts/other.qmd) ![](/imgs/dot.png){alt='black'}")
    page = built(project, "404.html")
    places = [tag.get("href") or tag.get("src") for tag in page.select("a:not(.skip), link, script[src], img")]
    assert len(places) > 6 and all(place.startswith(root) for place in places), places
    assert f"{root}posts/other.html" in places


def test_dead_links_of_the_page_for_a_missing_page(project: Path) -> None:
    published_at(project, "https://example.org/sub")
    refused(project, "[x](/nowhere.qmd)", "dead link to 'nowhere.html'", "404.qmd")


def test_pre_render_scripts(project: Path) -> None:
    (project / "make.py").write_text("import sys, pathlib; pathlib.Path('made.txt').write_text(' '.join(sys.argv[1:]))")
    settings = SETTINGS.replace("  execute-dir", "  pre-render: make.py\n  resources: [made.txt]\n  execute-dir")
    (project / "_quarto.yml").write_text(settings)
    assert (build(project, prepare_data=False) / "made.txt").read_text() == "--no-data"
    assert (build(project) / "made.txt").read_text() == ""
    (project / "make.py").write_text("raise SystemExit(3)")
    with pytest.raises(PreviewError, match=r"make\.py failed with code 3"):
        build(project)


def test_command_line(project: Path) -> None:
    command = [sys.executable, str(PROJECT / "tools" / "preview.py"), str(project), "--output", str(project / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "not Quarto" in done.stdout and not done.stderr
    assert (project / "out" / "posts" / "other.html").is_file() and not (project / "_site").exists()
    write(project, "posts/other.qmd", "@fig-none")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == "preview: posts/other.qmd: unresolved reference @fig-none\n"


def test_the_project_s_own_settings_are_understood() -> None:
    from site_preview.settings import read_project

    assert read_project(PROJECT).html("html-math-method") == "mathml"


def test_the_project_s_own_cards_are_what_networks_ask_for() -> None:
    cards = sorted((PROJECT / "site" / "cards").glob("*.png"))
    assert len(cards) > 3
    for card in cards:
        assert Image.open(card, formats=["PNG"]).size == (1200, 630) and card.stat().st_size < 150_000


def test_articles_are_cited_by_the_authors_of_the_project() -> None:
    from site_preview.citation import authors
    from site_preview.settings import read_page, read_project

    project = read_project(PROJECT)
    cited = [page for path in project.pages() if (page := read_page(project, path)).settings.get("citation")]
    assert Path("posts/representation-comparison.qmd") in [page.path for page in cited]
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert all(authors(page) == [author["name"] for author in citation["authors"]] for page in cited)
    keys = [page.settings["citation"]["id"] for page in cited]
    assert len(cited) > 3 and len(set(keys)) == len(keys)


def test_scripts_are_copied_from_the_installed_packages(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "tools" / "prepare_site.py"), "--no-data"]
    subprocess.run(command, cwd=tmp_path, check=True)
    vendor = tmp_path / "site" / "vendor"
    sizes = {path.name: path.stat().st_size for path in vendor.iterdir()}
    assert set(sizes) == {"plotly.min.js", "dt_bundle.js", "dt_bundle.css"} and min(sizes.values()) > 50_000
    before = {path.name: path.stat().st_mtime_ns for path in vendor.iterdir()}
    subprocess.run(command, cwd=tmp_path, check=True)
    assert before == {path.name: path.stat().st_mtime_ns for path in vendor.iterdir()}
