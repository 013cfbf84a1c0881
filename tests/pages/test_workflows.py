"""The workflows name commands and files that exist, ask for little, and pin what they use to a major version."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import lrcore

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))
OFFICIAL = ("actions/", "quarto-dev/quarto-actions/")


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text()))


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in read(name)["jobs"].values() for step in job["steps"]]


def step_of(name: str, words: str) -> dict[str, Any]:
    """The one step whose command holds `words`."""
    (found,) = [step for step in steps(name) if words in step.get("run", "")]
    return found


def test_there_is_one_that_checks_one_that_publishes_and_one_that_releases() -> None:
    assert WORKFLOWS == ["ci.yml", "publish.yml", "release.yml"]
    assert step_of("ci.yml", ".ci/run") and os.access(PROJECT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_official_and_pinned(name: str) -> None:
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert used and all(action.startswith(OFFICIAL) and re.search(r"@v\d+$", action) for action in used), used


@pytest.mark.parametrize("name", WORKFLOWS)
def test_permissions_are_minimal_and_runs_do_not_overlap(name: str) -> None:
    workflow = read(name)
    assert workflow["permissions"] == {"contents": "read"} and workflow["concurrency"]["group"]
    writes = {
        (job, permission)
        for job, settings in workflow["jobs"].items()
        for permission, level in settings.get("permissions", {}).items()
        if level == "write"
    }
    allowed = {
        "publish.yml": {("deploy", "pages"), ("deploy", "id-token")},
        "release.yml": {("release", "contents")},
    }
    assert writes == allowed.get(name, set())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_files_and_targets_in_commands_exist(name: str) -> None:
    commands = "\n".join(step.get("run", "") for step in steps(name))
    for path in re.findall(r"(?<![\w./-])(?:tests|tools|\.ci)/[\w./-]+", re.sub(r"make \S+", "", commands)):
        assert (PROJECT / path).is_file(), path
    for target in re.findall(r"make ([\w./-]+)", commands):
        done = subprocess.run(["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_address_ends_up_in_the_profile_that_is_rendered(tmp_path: Path) -> None:
    step = step_of("publish.yml", "site-url")
    assert step["env"] == {"BASE_URL": "${{ steps.pages.outputs.base_url }}"}
    for given in ("https://example.org/sub", "https://example.org/sub/"):
        subprocess.run(["bash", "-ec", step["run"]], cwd=tmp_path, env={"BASE_URL": given}, check=True)
        profile = re.search(r"--profile (\w+)", step_of("publish.yml", "quarto render")["run"])
        assert profile
        written = yaml.safe_load((tmp_path / f"_quarto-{profile[1]}.yml").read_text())
        assert written == {
            "website": {"site-url": "https://example.org/sub"},
            "format": {"html": {"canonical-url": True}},
        }


def test_a_pull_request_is_rendered_and_not_deployed(tmp_path: Path) -> None:
    workflow = read("publish.yml")
    assert "pull_request" in workflow[True]  # YAML reads "on" as a truth value
    assert workflow["jobs"]["deploy"]["if"] == "github.event_name != 'pull_request'"
    step = step_of("publish.yml", "site-url")
    subprocess.run(["bash", "-ec", step["run"]], cwd=tmp_path, env={"BASE_URL": ""}, check=True)
    assert not list(tmp_path.iterdir())


def test_a_check_that_fails_does_not_keep_the_site_from_being_published() -> None:
    jobs = read("publish.yml")["jobs"]
    assert jobs["smoke"]["continue-on-error"] is True and jobs["render"]["if"] == "${{ !cancelled() }}"
    made, taken = (
        [step for step in jobs[job]["steps"] if "artifact@" in step.get("uses", "")] for job in ("smoke", "render")
    )
    assert step_of("publish.yml", "quarto render")["env"]["LRCORE_NO_DATA"]  # it is not tried a second time
    assert made[0]["with"]["name"] == taken[0]["with"]["name"] and taken[0]["continue-on-error"] is True


@pytest.mark.parametrize(("others", "passes"), [(True, True), (False, False)])
def test_the_site_is_prepared_without_the_check_where_other_rows_are(
    tmp_path: Path, others: bool, passes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import prepare_site

    if others:
        (tmp_path / "data" / "generation" / "study=cifar10").mkdir(parents=True)
        (tmp_path / "data" / "generation" / "study=cifar10" / "part.parquet").touch()
    failed = subprocess.CompletedProcess(["train"], 2)
    monkeypatch.setattr(prepare_site.subprocess, "run", lambda *_, **__: failed)
    if passes:
        prepare_site.make_data(tmp_path)
        assert "without the study smoke" in capsys.readouterr().err
    else:
        with pytest.raises(subprocess.CalledProcessError):
            prepare_site.make_data(tmp_path)


@pytest.mark.parametrize(
    ("said", "code", "passes"),
    [
        ("Output created: _site/index.html", 0, True),
        ("WARN: Unable to resolve link target", 0, False),
        ("[WARNING] Citeproc: citation none not found", 0, False),
        ("ERROR: no such file", 0, False),
        ("Output created: _site/index.html", 1, False),
    ],
)
def test_a_warning_of_quarto_fails_the_rendering(tmp_path: Path, said: str, code: int, passes: bool) -> None:
    quarto = tmp_path / "quarto"
    quarto.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n")
    quarto.chmod(0o755)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step_of("publish.yml", "quarto render")["run"]]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes and said in done.stdout


def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path) -> None:
    step = step_of("release.yml", 'GITHUB_REF_NAME" = ')["run"]
    for name in ("lrcore/__init__.py", "CITATION.cff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((PROJECT / name).read_text())
    version = lrcore.__version__

    def status(tag: str, heading: str) -> int:
        (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n")
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        return subprocess.run(["bash", "-ec", step], cwd=tmp_path, env=environment, check=False).returncode

    assert status(f"v{version}", f"{version} - 2026-01-01") == 0
    assert status(f"v{version}", f"{version} - unreleased") == 1
    assert status("v9", f"{version} - 2026-01-01") == 1
