"""One's own autoencoders at another study's protocol: what is taken from which file, and what is refused."""

import re
from pathlib import Path

import pandas
import pytest

from lrcore.errors import LrcoreError
from lrcore.spec.study import Cell, Choice
from lrcore.studies.comparing import agreeing, as_far_as_measured, compared
from lrcore.studies.loading import load_study

TINY = Path(__file__).parents[1] / "tiny.toml"

MINE = """
[autoencoders.mine]
family = "patches"
patch = 4
"""
GRID = '[[grid]]\nae = ["mine"]\ntrainp = ["ts"]\ntrainshift = [9.0]\nrepa = ["none"]\n'


def write(folder, text, name="mine.toml"):
    (folder / name).write_text(text)
    return str(folder / name)


def test_all_but_the_autoencoders_is_the_other_studys(tmp_path):
    """Whatever the file inherits: it need not even be a whole study."""
    for head in ("", 'extends = "smoke"\n', 'extends = "cifar10-cpu"\nsummary = "My own."\n'):
        study, theirs = compared(write(tmp_path, head + MINE + GRID), "cifar10")
        shipped = load_study("cifar10")
        assert theirs == shipped and study.name == "mine" and list(study.autoencoders) == ["mine"]
        for part in ("data", "encoder", "training", "evaluation", "seed", "autoencoder_training"):
            assert getattr(study, part) == getattr(shipped, part)
        beside = "Autoencoders of mine at the protocol of study cifar10."  # not what the file inherits
        assert study.summary == ("My own." if "My own." in head else beside)
        assert {(c.trainp, c.trainshift, c.repa) for c in study.cells} == {
            (c.trainp, c.trainshift, c.repa) for c in shipped.cells
        }
        assert {cell.ae for cell in study.cells} == {"mine"} and len(study.cells) == 30


def test_trainings_and_choices_are_those_that_all_of_theirs_have(tmp_path):
    study, theirs = compared(write(tmp_path, MINE), "cifar10-cpu")
    assert {cell.trainshift for cell in theirs.cells} == {0.5, 1.0, 2.95, 6.93}  # the last of RAE alone
    assert study.cells == [Cell("mine", "none", "ln", shift) for shift in (0.5, 1.0, 2.95)]
    aes = ("mine",)
    assert study.choice == (
        Choice(aes, (500, 1000, 2500), train_seed=(1,)), Choice(aes, (500, 1000), train_seed=(0,)),
        Choice(aes, (500, 1000), train_seed=(2,)),
    )  # fmt: skip


def test_where_theirs_share_no_training_yours_has_all_of_them(tmp_path):
    grids = "".join(
        f'[[grid]]\nae = ["{ae}"]\ntrainp = ["ln"]\ntrainshift = [{shift}]\nrepa = ["none"]\n'
        for ae, shift in (("flux2", 1.0), ("rae", 2.0))
    )
    other = write(tmp_path, f'extends = "{TINY}"\n{grids}', "other.toml")
    study, _ = compared(write(tmp_path, MINE), other)
    assert [cell.trainshift for cell in study.cells] == [1.0, 2.0]


def test_narrow_is_what_either_says_of_a_training(tmp_path):
    wide = MINE.replace("patch = 4", "patch = 8")
    with pytest.raises(LrcoreError, match="width 128 is narrower than the 192 channels of a token of 'mine'"):
        compared(write(tmp_path, wide + GRID), str(TINY))
    study, _ = compared(write(tmp_path, wide + GRID + "narrow = true\n"), str(TINY))
    assert all(grid.narrow for grid in study.grid)
    assert all(grid.narrow for grid in compared(write(tmp_path, MINE), "smoke")[0].grid)
    assert not any(grid.narrow for grid in compared(write(tmp_path, MINE + GRID), "cifar10")[0].grid)


def test_an_autoencoder_keeps_what_it_inherits(tmp_path):
    base = 'extends = "smoke"\n[autoencoders.mine]\nfamily = "kl"\nwidths = [16, 32]\nlatent_channels = 2\n'
    write(tmp_path, base, "base.toml")
    text = 'extends = "base.toml"\n[autoencoders.mine]\nkl_weight = 0.5\n[autoencoder_training]\nsteps = 7\n'
    study, theirs = compared(write(tmp_path, text), "cifar10")
    assert (study.autoencoders["mine"].kl_weight, study.autoencoders["mine"].widths) == (0.5, (16, 32))
    # how yours is trained is yours to say
    assert study.autoencoder_training.steps == 7 and study.autoencoder_training.batch_size == 128
    assert theirs.autoencoders["sd"].kl_weight == 1e-3


def test_files_of_ones_own_that_extend_one_another_count_as_one(tmp_path):
    write(tmp_path, f'extends = "smoke"\n{MINE}[training]\nbatch_size = 128\n', "base.toml")
    study, _ = compared(write(tmp_path, 'extends = "base.toml"\n[training]\nema_decay = 0.995\n'), "cifar10")
    assert list(study.autoencoders) == ["mine"]
    # what a study extends is not its own where that is what it is compared with
    with pytest.raises(LrcoreError, match=r"autoencoders: study file .*mine.toml' has none of its own"):
        compared(write(tmp_path, 'extends = "base.toml"\n'), str(tmp_path / "base.toml"))


@pytest.mark.parametrize(
    ("table", "line", "key", "said"),
    [
        ("training", "evaluate_at = [10]", "training.evaluate_at", "is (10,)"),
        ("training", 'model = "DiT-Nano"', "training.model", "is 'DiT-Nano' in the file of study 'mine', but 'DiT-Ti'"),
        ("training", 'precision = "float32"', "training.precision", "but 'bfloat16' in 'cifar10'"),
        ("evaluation", "n_samples = 100", "evaluation.n_samples", "is 100 in the file of study 'mine', but 2500"),
        ("evaluation", 'score = "kid"', "evaluation.score", "leave out --compare-with"),
        ("evaluation", "sampleshifts = [1.0]", "evaluation.sampleshifts", "is (1.0,)"),
        ("evaluation", 'reference = "batch.npz"', "evaluation.reference", "is 'batch.npz'"),
        ("data", "train_images = 100", "data.train_images", "is 100"),
        ("encoder", "size = 64", "encoder.size", "is 64"),
        ("", "seed = 1", "seed", "is 1 in the file of study 'mine', but 0 in 'cifar10'"),
    ],
)
def test_a_file_that_says_otherwise_is_refused_by_key(table, line, key, said, tmp_path):
    head = f"[{table}]\n{line}\n" if table else f"{line}\n"
    path = write(tmp_path, (MINE + head) if table else head + MINE)
    with pytest.raises(
        LrcoreError, match=rf"^{re.escape(key)} {re.escape(said) if said.startswith('is') else ''}"
    ) as e:
        compared(path, "cifar10")
    assert said in str(e.value) and "\n" not in str(e.value)


def test_what_says_the_same_or_moves_no_number_is_taken(tmp_path):
    same = "[training]\nbatch_size = 128\nevaluate_at = [1000, 3000]\n"
    free = "checkpoint_every = 10\n[evaluation]\nbatch_size = 7\n"
    study, _ = compared(write(tmp_path, MINE + same + free), "cifar10")
    assert (study.training.checkpoint_every, study.evaluation.batch_size) == (10, 7)


def test_where_images_are_may_be_said_anew(tmp_path):
    own = write(tmp_path, '[autoencoders.mine]\nfamily = "kl"\npretrained = "./x"\n[data]\npath = "photos"\n')
    study, theirs = compared(own, "imagenet256")
    assert study.data.path == f"{tmp_path}/photos" and theirs.data.path == "imagenet"


@pytest.mark.parametrize(
    ("own", "other", "message"),
    [
        ("smoke", "cifar10", "--compare-with goes with a study of your own, a path ending in .toml, got 'smoke'"),
        ("mine.toml", "cifar", "--compare-with: unknown study 'cifar'; allowed: cifar10, cifar10-cpu, imagenet256, sm"),
        ("mine.toml", "no.toml", "--compare-with: study file 'no.toml' does not exist"),
        ("mine.toml", "mine.toml", "--compare-with names the study itself: name another one that has rows"),
        ("none.toml", "cifar10", "study file 'none.toml' does not exist"),
        ("cifar10.toml", "cifar10", "name: 'cifar10' is that of the study of --compare-with"),
        ("empty.toml", "cifar10", "autoencoders: study file 'empty.toml' has none of its own"),
        ("wrong.toml", "cifar10", "autoencoders.mine.patches"),
        ("grid.toml", "cifar10", "grid must be a list, got 3"),
        ("same.toml", "cifar10", "autoencoders.sd: study 'cifar10' has an autoencoder of this name"),
        ("table.toml", "cifar10", "training must be a table, got 3"),
    ],
)
def test_what_cannot_be_compared_is_refused(own, other, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = TINY.read_text()
    write(tmp_path, whole + MINE.replace("mine", "flux3") + GRID.replace("mine", "flux3"))
    write(tmp_path, MINE, "cifar10.toml")
    write(tmp_path, 'extends = "smoke"\n', "empty.toml")
    write(tmp_path, MINE + "patches = 3\n", "wrong.toml")
    write(tmp_path, "grid = 3\n" + MINE, "grid.toml")
    write(tmp_path, MINE.replace("mine", "sd"), "same.toml")
    write(tmp_path, "training = 3\n" + MINE, "table.toml")
    with pytest.raises(LrcoreError) as found:
        compared(own, other)
    assert message in str(found.value) or (own == "wrong.toml" and "patches" in str(found.value))
    assert "\n" not in str(found.value)


def rows_of(study, cells, steps=None, **changed):
    """Generation rows as `study` would write them, at its first sampling shift."""
    evaluation, training = study.evaluation, study.training
    made = [
        {
            "study": study.name, "ae": cell.ae, "repa": cell.repa, "trainp": cell.trainp, "trainshift": cell.trainshift,
            "train_seed": cell.train_seed, "skip": "", "width": float("nan"), "step": step,
            "sampleshift": evaluation.sampleshifts[0], "dataset": study.data.dataset,
            "resolution": study.data.resolution, "feature_network": evaluation.feature_network,
            "n_reference": evaluation.n_reference, "score": "" if evaluation.score == "fid" else "kid",
            "sampler": evaluation.sampler, "sampling_steps": evaluation.sampling_steps, "guidance": evaluation.guidance,
            "guidance_low": 0.0, "guidance_high": 1.0, "model": training.model, "batch_size": training.batch_size,
            "learning_rate": training.learning_rate, "ema_decay": training.ema_decay, "precision": training.precision,
            "n_samples": evaluation.n_samples, "sample_seed": study.seed + evaluation.sample_seed,
        }
        for cell in cells for step in steps or training.evaluate_at
    ]  # fmt: skip
    return pandas.DataFrame(made).assign(**changed)


def test_rows_of_another_state_of_the_study_are_left_out_or_refused_by_key():
    study = load_study("cifar10")
    rows = rows_of(study, study.cells[:4])
    assert len(agreeing(rows, study, "data")) == 8
    for column, value, key in (
        ("batch_size", 64, "training.batch_size"), ("feature_network", "mine", "evaluation.feature_network"),
        ("step", 500, "training.evaluate_at"), ("sample_seed", 7, "evaluation.sample_seed"),
        ("precision", "float32", "training.precision"), ("score", "kid", "evaluation.score"),
        ("guidance_low", 0.5, "evaluation.guidance_interval"),
    ):  # fmt: skip
        other = rows_of(study, study.cells[:4], **{column: value})
        assert len(agreeing(pandas.concat([rows, other]), study, "data")) == 8
        with pytest.raises(
            LrcoreError,
            match=rf"^{re.escape(key)}: rows of study 'cifar10' in 'data' are of {value!r}, but its file says ",
        ):
            agreeing(other, study, "data")
    assert agreeing(rows.head(0), study, "data").empty


def test_what_no_row_could_be_compared_with_is_not_trained(tmp_path):
    study, theirs = compared(write(tmp_path, MINE), "cifar10")
    cells = {(cell.ae, cell.repa, cell.trainp, cell.trainshift): cell for cell in theirs.cells}
    some = [cells[ae, "none", "ln", shift] for ae, shifts in (("sd", (1.0, 1.78, 6.93)), ("rae", (1.78, 1.0)))
            for shift in shifts]  # fmt: skip
    rows = rows_of(theirs, [*some, cells["sd", "efficientnet_lite0", "ln", 1.0]], steps=[1000])
    rows = pandas.concat([rows, rows_of(theirs, some[:1])])
    found = as_far_as_measured(study, theirs, rows)
    assert [(cell.repa, cell.trainp, cell.trainshift) for cell in found.cells] == [
        ("none", "ln", s) for s in (1.0, 1.78)
    ]
    assert found.training.evaluate_at == (1000,)
    assert as_far_as_measured(study, theirs, rows.head(0)) == study
    # where theirs have nothing plain so far, there is nothing to choose from
    text = f'extends = "{TINY}"\n[[choice]]\nae = ["flux2", "rae"]\nn_samples = [8]\n'
    chosen, other = compared(write(tmp_path, MINE), write(tmp_path, text, "other.toml"))
    begun = as_far_as_measured(chosen, other, rows_of(other, [cell for cell in other.cells if cell.repa != "none"]))
    assert chosen.choice and not begun.choice and [cell.repa for cell in begun.cells] == ["efficientnet_lite0"]
    # rows of one autoencoder alone: what it has
    one = as_far_as_measured(study, theirs, rows[rows["ae"] == "sd"])
    assert len(one.cells) == 4 and one.training.evaluate_at == (1000, 3000)
