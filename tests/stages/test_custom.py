"""Autoencoders of one's own: whose code runs when, what a run leaves for plans, and that neighbours never mix."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from custom_study import EXAMPLE, study_with

from lrcore import status, train
from lrcore.autoencoders.custom import load_custom
from lrcore.errors import LrcoreError
from lrcore.plan.costs import Costs
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import StudyPath
from lrcore.stages import custom
from lrcore.stages.autoencoder import autoencoder_recipe
from lrcore.stages.latent_shape import has_posterior, latent_shape
from lrcore.stages.reconstruction import _named_weights
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

MARKS = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "my_autoencoder.py").write_text(MARKS + EXAMPLE)
    file, *places = study_with(tmp_path, "my_autoencoder.py:Mine")
    return [str(tmp_path / file), *places]


def workspace(folder):
    folders = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(str(folder / "mine.toml")), folders, StopRequest(), lambda steps: None)


def looked_at(arguments, capsys):
    """What plan and status say."""
    assert train.main([*arguments, "--plan"]) == 0
    plan = capsys.readouterr().out
    assert status.main(arguments) == 0
    return plan, capsys.readouterr().out


def test_a_plan_and_a_status_run_no_code(arguments, tmp_path, capsys):
    ran = tmp_path / "ran"
    plan, told = looked_at(arguments, capsys)
    assert "unknown until run: mine; their code is not run here" in plan
    assert "unknown until run: whether rows of mine are up to date" in told
    assert not ran.exists() and not (tmp_path / "runs").exists()
    counts = {line[:24].strip(): line[24:].split() for line in plan.splitlines()[3:9]}
    assert counts["reconstructions"] == ["1", "0", "1"] and counts["transformers"] == ["1", "0", "1"]

    work = workspace(tmp_path)
    recipe, shape = autoencoder_recipe(work, "mine"), latent_shape(work, "mine")
    assert ran.exists() and [path.name for path in (tmp_path / "runs" / "mine" / "custom").iterdir()] == ["mine.json"]
    ran.unlink()
    plan, told = looked_at(arguments, capsys)
    assert "unknown until run" not in plan + told
    later = workspace(tmp_path)
    later.runs_code = False
    assert (autoencoder_recipe(later, "mine"), latent_shape(later, "mine")) == (recipe, shape)
    assert has_posterior(later, "mine") is False
    with pytest.raises(custom.UnknownUntilRun, match=r"'my_autoencoder.py:Mine' is code, which only a run imports"):
        custom.load(later, "mine")

    (tmp_path / "my_autoencoder.py").write_text(MARKS + EXAMPLE + "\n# changed\n")
    plan, told = looked_at(arguments, capsys)
    assert "unknown until run" in plan and "unknown until run" in told
    (tmp_path / "runs" / "mine" / "custom" / "mine.json").write_text("{}")
    assert "unknown until run" in looked_at(arguments, capsys)[0]
    assert not ran.exists()


def test_rows_and_recipes_do_not_know_where_the_file_is(arguments, tmp_path):
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my_autoencoder.py").write_text(EXAMPLE)
        study_with(tmp_path / name, "my_autoencoder.py:Mine")
        work = workspace(tmp_path / name)
        assert _named_weights(work.study.autoencoders["mine"]) == "my_autoencoder.py:Mine"
        found.append(autoencoder_recipe(work, "mine"))
    assert found[0] == found[1]


def test_no_row_holds_an_absolute_path(tmp_path):
    (tmp_path / "my_autoencoder.py").write_text(EXAMPLE)
    study_with(tmp_path, f"{tmp_path}/my_autoencoder.py:Mine")
    spec = workspace(tmp_path).study.autoencoders["mine"]
    assert _named_weights(spec) == "my_autoencoder.py:Mine"
    stored = replace(spec, family="kl", pretrained=StudyPath("/home/me/vae", "/home/me/vae"), subfolder="sub")
    assert _named_weights(stored) == "vae/sub"
    assert _named_weights(replace(stored, pretrained="owner/model", revision="v1")) == "owner/model/sub@v1"


def test_neighbours_are_found_and_never_mixed(arguments, tmp_path):
    """Two folders with files of the same names; `helpers` is also a module that is imported elsewhere."""
    code = EXAMPLE.replace(
        "from torch import nn\n", "from torch import nn\nimport sizes\nfrom parts.more import GAIN\n"
    )
    code = code.replace("return 2 *", "return GAIN * 0 + sizes.SCALE *")
    elsewhere = sys.modules["sizes"] = type(sys)("sizes")
    try:
        path, known = [*sys.path], {*sys.modules}
        made = []
        for scale in (2, 3):
            folder = tmp_path / f"scale{scale}"
            (folder / "parts").mkdir(parents=True)
            (folder / "my.py").write_text(code)
            (folder / "sizes.py").write_text(f"SCALE = {scale}\n")
            (folder / "parts" / "__init__.py").write_text("")
            (folder / "parts" / "more.py").write_text(
                f"from sizes import SCALE\nGAIN = {scale}\nassert SCALE == GAIN\n"
            )
            made.append(load_custom(StudyPath(f"{folder}/my.py:Mine", "my.py:Mine"), 32))
        modules = [sys.modules[type(found).__module__] for found in made]
        assert [module.sizes.SCALE for module in modules] == [2, 3] and [module.GAIN for module in modules] == [2, 3]
        assert sys.modules["sizes"] is elsewhere and sys.path == path
        assert {name for name in {*sys.modules} - known if not name.startswith("lrcore_custom_")} == set()
    finally:
        del sys.modules["sizes"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys\nsys.exit(3)", "autoencoders.mine: autoencoder 'my.py:Mine' cannot be made: SystemExit: 3"),
        ("raise ValueError('one\\ntwo')", "cannot be made: ValueError: one two"),
        ("import neighbour_that_is_not_there", "ModuleNotFoundError"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_what_it_raises_is_one_line(code, message, arguments, tmp_path):
    (tmp_path / "my.py").write_text(code)
    study_with(tmp_path, "my.py:Mine")
    with pytest.raises(LrcoreError, match=message) as found:
        autoencoder_recipe(workspace(tmp_path), "mine")
    assert "\n" not in str(found.value)


def test_the_docs_say_that_a_study_can_run_code():
    project = Path(__file__).parents[2]
    for page in ("README.md", "posts/your-own-autoencoder.qmd"):
        text = " ".join((project / page).read_text().split())
        assert "runs that file's code" in text and "`--plan` and `python -m lrcore.status` never do" in text


def test_options_of_the_study_reach_the_class_and_count(arguments, tmp_path):
    """One class for two autoencoders, a second class and a function, all in one file."""
    code = EXAMPLE.replace("def __init__(self, resolution):", "def __init__(self, resolution, gain=1.0, names=()):")
    code = code.replace("super().__init__()", "super().__init__()\n        self.gain, self.names = gain, names")
    code = code.replace("return 2 *", "return self.gain * 2 *").replace("/ 2 - 0.05", "/ (2 * self.gain) - 0.05")
    code += (
        "\nclass Other(Mine):\n    pass\n\ndef made(resolution, **options):\n    return Other(resolution, **options)\n"
    )
    (tmp_path / "my_autoencoder.py").write_text(code)
    own = "".join(
        f'[autoencoders.{name}]\nfamily = "my_autoencoder.py:{attribute}"\n{options}\n'
        for name, attribute, options in (
            ("plain", "Mine", ""),
            ("loud", "Mine", 'options = { gain = 3.0, names = ["a", "b"] }'),
            ("other", "Other", ""),
            ("function", "made", "[autoencoders.function.options]\ngain = 2"),
        )
    )
    study = (tmp_path / "mine.toml").read_text() + own
    (tmp_path / "mine.toml").write_text(study)
    work = workspace(tmp_path)
    found = {ae: custom.load(work, ae) for ae in ("plain", "loud", "other", "function")}
    assert [made.gain for made in found.values()] == [1.0, 3.0, 1.0, 2]
    assert found["loud"].names == ["a", "b"] and type(found["function"]).__name__ == "Other"
    assert len({autoencoder_recipe(work, ae) for ae in found}) == 4
    later = workspace(tmp_path)
    later.runs_code = False
    assert latent_shape(later, "loud") == found["loud"].shape
    (tmp_path / "mine.toml").write_text(study.replace("gain = 3.0", "gain = 4.0"))
    later = workspace(tmp_path)
    later.runs_code = False
    with pytest.raises(custom.UnknownUntilRun):
        latent_shape(later, "loud")
    assert latent_shape(later, "plain") == found["plain"].shape


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ('"my_autoencoder.py:Mine"', "{ gain = 3 }", r"autoencoders.mine: .*unexpected keyword argument 'gain'"),
        ('"my_autoencoder.py:Mine"', "3", "autoencoders.mine.options must be a table, got 3"),
        (
            '"my_autoencoder.py:Mine"',
            "{ a = { b = 1 } }",
            r"options.a must be a string, a number, true, false or a list",
        ),
        ('"my_autoencoder.py:Mine"', "{ a = nan }", r"options.a must be a finite number, got nan"),
        ('"my_autoencoder.py:Mine"', '{ "a-b" = 1 }', r"a name that Python takes as an argument's, got 'a-b'"),
        ('"patches"', "{ a = 1 }", "autoencoders.mine.options means nothing for a fitted autoencoder"),
    ],
)
def test_options_that_do_not_fit_are_named(family, options, message, arguments, tmp_path):
    text = (tmp_path / "mine.toml").read_text().replace('"my_autoencoder.py:Mine"', f"{family}\noptions = {options}")
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(LrcoreError, match=message):
        custom.load(workspace(tmp_path), "mine")
