"""Reports at every stage of a study: what is there is shown, what is not says which command measures it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest
import report_rows
from foreign_text import FOREIGN

from lrcore.errors import LrcoreError
from lrcore.records.planned import Planned, write_planned
from lrcore.records.writing import write_generation, write_reconstruction
from lrcore.report_pages import advice, card
from lrcore.report_pages import page as pages
from lrcore.report_pages.caveats import caveats
from lrcore.report_pages.page import page
from lrcore.report_pages.portable import portable
from lrcore.report_pages.report import Report, make, record
from lrcore.report_pages.subject import Subject, find
from lrcore.report_pages.verdict import verdict

MEASURED_BY = {
    "reconstruction": ("reconstruction",),
    "crops": ("crops",),
    "latent": ("latents",),
    "learned": ("generation",),
    "noise_levels": ("losses", "latents", "generation"),
    "scatter": ("generation", "reconstruction"),
    "samples": ("samples",),
    "curves": ("generation",),
    "timesteps": ("generation",),
    "literature": ("reconstruction",),
    "protocol": ("reconstruction",),
    "cite": (),
}
"""What each section needs of `report_rows.KINDS` to be whole."""

STAGES = [report_rows.KINDS[:number] for number in (1, 2, 4, 5)]


class Elements(HTMLParser):
    """Every element with its attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join("".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which everything is measured."""
    folder = tmp_path_factory.mktemp("whole")
    report_rows.write(folder)
    return folder


@pytest.fixture(scope="module")
def report(whole: Path) -> Report:
    """The report of it that most tests look at."""
    return report_of(whole)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    """The same as HTML, without plotly.js."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "packed_plotly", lambda: "")
        return page(report)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the project's files, and a small plotly.js."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setattr(pages, "packed_plotly", lambda: "")


def subject_of(folder: Path, ae: str = "flux2", study: str = report_rows.NAME) -> Subject:
    return find(study, folder / "data", folder / "imgs", ae)


def report_of(folder: Path, ae: str = "flux2", study: str = report_rows.NAME) -> Report:
    return make(subject_of(folder, ae, study))


@pytest.mark.parametrize("kinds", STAGES, ids=lambda kinds: kinds[-1])
def test_sections_show_what_there_is_and_name_the_command_for_the_rest(
    kinds: tuple[str, ...], whole: Path, tmp_path: Path
) -> None:
    report = report_of(report_rows.part(whole, tmp_path, *kinds))
    states = {section.key: section.state for section in report.sections}
    assert list(states) == list(MEASURED_BY)
    for key, needed in MEASURED_BY.items():
        assert (states[key] == "measured") == set(kinds).issuperset(needed), (key, states[key])
    text = Elements(page(report)).said
    for section in report.sections:
        assert section.title in text
        for missing in section.missing:
            assert missing.text in text and missing.command in text
            assert re.fullmatch(
                r"python -m lrcore\.(reconstruct|train) made\.toml --ae flux2( --only \w+)?", missing.command
            )


def test_nothing_is_missing_where_everything_is_measured(report: Report) -> None:
    assert not report.missing
    assert {section.state for section in report.sections} == {"measured"}


def test_a_study_without_any_rows_says_what_comes_first(tmp_path: Path) -> None:
    report = report_of(tmp_path, "", "smoke")
    assert [one.text for one in report.verdict] == ["Nothing of study smoke is measured yet."]
    assert not any(section.state == "measured" for section in report.sections if section.key != "cite")
    said = Elements(page(report)).said
    assert "python -m lrcore.reconstruct smoke" in said and "Nothing is measured yet. What follows says" in said
    json.dumps(record(report), allow_nan=False)


@pytest.mark.parametrize("ae", ["flux2", ""])
def test_numbers_of_both_files_agree(ae: str, whole: Path, report: Report) -> None:
    report = report if ae else report_of(whole, ae)
    found: dict[str, Any] = json.loads(json.dumps(record(report), allow_nan=False))
    text = Elements(page(report)).said
    for one in (*found["caveats"], *found["verdict"]):
        assert one["text"] in text
    figures = 0
    for section in found["sections"].values():
        for table in section["tables"].values():
            for row in table.get("shown", []):
                assert all(str(value) in text for value in row.values() if isinstance(value, str))
        for figure in section["figures"].values():
            figures += 1
            assert figure["title"] in text.replace("\N{WORD JOINER}", "") and figure["rows"]
    assert figures == 8
    spectrum = found["sections"]["latent"]["figures"]["made-spectrum"]["rows"]
    assert {row["ae"] for row in spectrum} == {"sd", "flux2"}


def test_the_verdict_is_computed(report: Report) -> None:
    said = [one.text for one in report.verdict]
    assert said[0] == "Faithful: FLUX.2 reconstructs with PSNR 26.0 ± 0.5 dB, better than the other autoencoder."
    assert said[1].startswith(
        "Compact: 64 tokens of 32 channels, 2,048 numbers for 3,072 pixel values (1.5 times fewer)"
    )
    assert "better than the other autoencoder" in said[2] and "G 0." in said[2]
    found = record(report)["verdict"]
    assert found[0]["values"]["psnr"] == 26.0 and found[1]["values"]["numbers"] == 2048


def test_g_has_the_interval_of_its_trainings(report: Report) -> None:
    rows = record(report)["sections"]["learned"]["tables"]["made-g"]["rows"]
    own = next(row for row in rows if row["ae"] == "flux2")
    # of three trainings: Student's 97.5 % point with two degrees of freedom
    reach = 4.30265 * own["deviation_of_trainings"] / 3**0.5
    assert own["g_low"] == pytest.approx(own["g_kid"] - reach, rel=1e-4)
    assert own["g_high"] == pytest.approx(own["g_kid"] + reach, rel=1e-4)


def test_no_address_but_of_links_leads_out_of_the_file(html: str) -> None:
    elements = Elements(html).found
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    for tag, attributes in elements:
        assert not {"srcset", "action", "data", "poster", "background"} & set(attributes)
        for name in ("src", "href", "xlink:href"):
            link = attributes.get(name)
            if link is None:
                continue
            assert link.startswith("data:") or (link.startswith("#") and link[1:] in ids) or (
                tag == "a" and link.startswith("https://")
            ), (tag, link)  # fmt: skip
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    links = re.findall(r'"link":"([^"]+)"', html)
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)


def test_a_picture_is_held_once(html: str) -> None:
    held = re.findall(r'id="picture-\w+" (?:href|src)="data:image/png;base64,', html)
    # crops of the original and of two autoencoders, and a sheet of samples
    assert len(held) == html.count("data:image/") == 4 * 3 + 1
    # each crop once more, enlarged; and a pair of both for readers without scripts
    assert html.count("<use ") == 4 * 3 + 2 * 2


def test_no_absolute_path_and_no_foreign_markup(whole: Path, tmp_path: Path) -> None:
    folder = report_rows.part(whole, tmp_path, *report_rows.KINDS)
    rows = [
        report_rows.sample_data.reconstruction_row("flux2", metric) for metric in report_rows.sample_data.RECONSTRUCTION
    ]
    changed = {"weights": f"/home/someone/secret/mine.py:Mine {FOREIGN['script']}", "dataset": "/data/photos/test[:9]"}
    rows = [report_rows.dataclasses.replace(row, **changed) for row in rows]
    write_reconstruction(folder / "data", report_rows.NAME, "flux2", rows)
    report = report_of(folder)
    html, text = page(report), json.dumps(record(report))
    for found in (html, text):
        assert "someone" not in found and "/data/photos" not in found and str(tmp_path) not in found
        assert "mine.py:Mine" in found
    tags = [tag for tag, _ in Elements(html).found]
    assert tags.count("script") == html.count('class="lrcore-spec"') + 2
    assert not [name for _, attributes in Elements(html).found for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/home/me/vae.pt", "vae.pt"),
        ("~/vae.pt and C:\\Users\\me\\vae.pt", "vae.pt and vae.pt"),
        ("weights '/a/b/c.py:Mine'", "weights 'c.py:Mine'"),
        (
            "cifar10/train[:10] of https://a.example/b/c, ± 1 / 2",
            "cifar10/train[:10] of https://a.example/b/c, ± 1 / 2",
        ),
        ("hub/name, models/own.pt", "hub/name, models/own.pt"),
    ],
)
def test_paths_of_one_machine_are_cut(text: str, said: str) -> None:
    assert portable(text) == said


def test_what_is_wrong_with_the_numbers_is_said_first(whole: Path, tmp_path: Path) -> None:
    folder = report_rows.part(whole, tmp_path, *report_rows.KINDS)
    latents = [row for row in report_rows.sample_data.latent_rows("flux2") if not row.metric.startswith("channel_")]
    template = latents[0]
    for number, std in ((0, 0.2), (1, 0.9)):
        for metric, value in (("channel_std", std), ("channel_mean", 0.5)):
            named = {"metric": metric, "index": number, "x": float("nan"), "value": value}
            latents.append(report_rows.dataclasses.replace(template, **named))
    report_rows.write_latents(folder / "data", report_rows.NAME, "flux2", latents)
    rows = [
        report_rows.dataclasses.replace(report_rows.sample_data.reconstruction_row("flux2", metric), n_images=99)
        for metric in report_rows.sample_data.RECONSTRUCTION
    ]
    rows = [report_rows.dataclasses.replace(row, value=9.0) if row.metric == "psnr" else row for row in rows]
    write_reconstruction(folder / "data", report_rows.NAME, "flux2", rows)
    told = caveats(subject_of(folder))
    found = {one.key: one for one in told}
    assert {"not_normalised", "channel_spread", "range", "mixed_protocols", "few_images", "few_samples"} <= set(found)
    assert found["not_normalised"].values["mean"] == pytest.approx(0.5)
    assert 'normalise = "all" under [autoencoders.flux2]' in found["not_normalised"].text
    assert "lrcore.check made.toml --ae flux2" in found["range"].text
    edges = {one.values["parameter"]: one.values["autoencoders"] for one in told if one.key == "best_at_edge"}
    assert set(edges) == {"trainshift", "sampleshift"}
    assert edges["trainshift"] == {"flux2": {"best": 2.95, "tried": [1.0, 2.95], "end": "the largest"}}


def test_caveats_stand_before_the_verdict_and_that_before_the_numbers(report: Report, html: str) -> None:
    text = Elements(html).said
    places = [text.index(said) for said in (report.caveats[0].text, report.verdict[0].text, "PSNR (dB) ↑")]
    assert places == sorted(places)


def test_a_best_that_is_no_better_than_noise_is_not_called_one(tmp_path: Path) -> None:
    report_rows.write(tmp_path, fid=900.0, kid=0.9)
    subject = subject_of(tmp_path)
    assert "not_clearly_above_noise" in [one.key for one in caveats(subject)]
    assert "not clearly better than decoded noise" in verdict(subject)[2].text


def test_what_is_not_known_of_learnability_is_said(whole: Path, tmp_path: Path) -> None:
    untrained = subject_of(report_rows.part(whole, tmp_path / "untrained", "reconstruction"))
    assert verdict(untrained)[-1].text == "Learnable: not known yet, since no transformer was trained."
    report_rows.write(tmp_path / "diverged", fid=float("nan"), kid=float("nan"), status="diverged")
    diverged = subject_of(tmp_path / "diverged")
    assert verdict(diverged)[-1].text == "Learnable: not known, since every training diverged."
    assert next(one for one in caveats(diverged) if one.key == "diverged").values["diverged"] == 24


def test_rows_of_two_protocols_are_not_mixed(whole: Path, tmp_path: Path) -> None:
    folder = report_rows.part(whole, tmp_path, *report_rows.KINDS)
    study = report_rows.made_study()
    cell = study.cells[0]
    other = report_rows.sample_data.generation_row(study, cell, 2000, 1.0)
    other = report_rows.dataclasses.replace(other, sampler="heun", fid=1.0)
    write_generation(folder / "data", report_rows.NAME, f"{cell.name}-heun", [other])
    subject = subject_of(folder)
    mixed = next(one for one in caveats(subject) if one.key == "mixed_protocols")
    assert mixed.values == {"kind": "generation", "columns": ["sampler"], "rows_left_out": 1}
    assert "sampler euler" in mixed.text
    assert set(subject.study.generation["sampler"]) == {"euler"}
    assert "KID" in verdict(subject)[2].text or "FD" in verdict(subject)[2].text


def test_names_that_are_not_there_are_named_with_what_is(whole: Path) -> None:
    with pytest.raises(LrcoreError, match=r"unknown --ae 'flux3'; allowed: sd, flux2; did you mean 'flux2'"):
        subject_of(whole, "flux3")
    with pytest.raises(LrcoreError, match=r"unknown study 'mada'; allowed: made, .*smoke.*; did you mean 'made'"):
        subject_of(whole, "", "mada")
    with pytest.raises(LrcoreError, match=r"study file 'made.toml' does not exist"):
        subject_of(whole, "", "made.toml")


def test_one_autoencoder_alone_is_what_the_report_is_about(whole: Path, tmp_path: Path) -> None:
    folder = report_rows.part(whole, tmp_path, "reconstruction")
    (folder / "data" / "reconstruction" / "study=made" / "sd.parquet").unlink()
    subject = find(report_rows.NAME, folder / "data", folder / "imgs")
    assert (subject.ae, subject.references, subject.label) == ("flux2", [], "FLUX.2")


def test_what_was_measured_beside_another_study_goes_on_beside_it(tmp_path: Path) -> None:
    report_rows.write(tmp_path)
    write_planned(tmp_path / "data", "made", Planned(4, 20, "cifar10"))
    found = find("made", tmp_path / "data", tmp_path / "imgs", "flux2")
    assert found.command("generation") == (
        "python -m lrcore.train made.toml --ae flux2 --compare-with cifar10 --only generation"
    )
    assert found.command("reconstruction").endswith("--compare-with cifar10 --only reconstruction")
    assert found.command("all").endswith("--compare-with cifar10")


def test_autoencoders_of_the_study_that_it_is_compared_with_are_its_references(tmp_path: Path) -> None:
    """Those with the names of one's own are left out, and where there are none at all, that is said."""
    report_rows.write(tmp_path, dataset="cifar10")
    data = tmp_path / "data"
    for table in ("generation", "reconstruction", "latents", "anchors", "losses"):
        shutil.copytree(data / table / "study=made", data / table / "study=theirs")
        for path in (data / table / "study=made").glob("*sd*"):
            path.unlink()
        for path in (data / table / "study=theirs").glob("*flux2*"):
            path.unlink()
    write_planned(data, "made", Planned(4, 20, "theirs.toml"))
    lost = find("made", data, tmp_path / "imgs", "flux2")
    assert (lost.references, lost.beside) == ([], "theirs.toml")
    assert any("references are missing" in caveat.text for caveat in caveats(lost))
    Path("theirs.toml").write_text(
        'extends = "smoke"\n[evaluation]\nn_samples = 200\nsampleshifts = [1.0, 2.95]\n[training]\n'
        f"evaluate_at = {list(report_rows.STEPS)}\n"
    )
    found = find("made", data, tmp_path / "imgs", "flux2")
    assert (found.own, found.references, found.label) == (["flux2"], ["sd"], "FLUX.2")
    assert set(found.study.generation["ae"]) == {"flux2", "sd"} and set(found.study.anchors["ae"]) == {"flux2", "sd"}
    assert not any("references are missing" in caveat.text for caveat in caveats(found))
    assert "--ae flux2 --compare-with theirs.toml" in found.command("all")
    said = Elements(page(make(found))).said
    assert "SD" in said and "FLUX.2" in said


def test_trainings_that_are_no_better_than_noise_advise_nothing(tmp_path: Path) -> None:
    report_rows.write(tmp_path)
    subject = find("made", tmp_path / "data", tmp_path / "imgs", "flux2")
    advised = str(advice.timesteps(subject))
    assert "To try first" in advised and "Nothing yet" not in advised
    noisy = dataclasses.replace(subject.study, anchors=subject.study.anchors.assign(fid=0.0, kid=0.0))
    told = str(advice.timesteps(dataclasses.replace(subject, study=noisy)))
    assert "Nothing yet: its best is not clearly better" in told and "Why this density" not in told


def test_images_of_one_class_wait_for_no_linear_probe(whole: Path) -> None:
    subject = subject_of(whole)
    rows = subject.study.latents[subject.study.latents["metric"] != "probe_accuracy"]
    for value, lacking in ((0.5, True), (math.nan, False)):
        within = rows[rows["ae"] == "flux2"].head(1).assign(metric="within_class_variance", value=value)
        rest = rows[rows["metric"] != "within_class_variance"]
        study = dataclasses.replace(subject.study, latents=pandas.concat([rest, within]))
        found = card.unmeasured(dataclasses.replace(subject, study=study))
        assert ("the linear probe" in found) == lacking
