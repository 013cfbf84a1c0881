"""Training autoencoders by themselves: the command, on a folder at 256 px, and what it exports."""

import dataclasses
import shutil
from pathlib import Path

import numpy
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2
from PIL import Image

from lrcore import reconstruct, train, train_autoencoder
from lrcore.records.reading import read_generation, read_reconstruction
from lrcore.studies.loading import load_study

TINY = str(Path(__file__).parent / "tiny.toml")


def folders(folder):
    return [f"--{name}={folder / name}" for name in ("data", "imgs", "runs")]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of six pictures: gradients with noise, larger than 256 px and not square."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        draw = numpy.random.default_rng(number)
        ramp = numpy.linspace(0, 200, 300)[None, :, None] * draw.random(3) + draw.integers(0, 50, (270, 300, 3))
        target = folder / f"class{number % 2}" / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(ramp.astype("uint8")).save(target)
    return folder


def study_at_256(photos, folder):
    """A study of the three trained families with the PatchGAN and bfloat16 on."""
    path = folder / "large.toml"
    path.write_text(
        f"""
        extends = "{TINY}"
        [data]
        dataset = "folder"
        path = "{photos}"
        resolution = 256
        train_images = 4
        validation_images = 2
        [encoder]
        size = 256
        [autoencoder_training]
        steps = 2
        batch_size = 2
        precision = "bfloat16"
        gan_weight = 0.5
        gan_start = 1
        gan_width = 8
        [autoencoders.sd]
        family = "kl"
        widths = [8, 8, 16, 16]
        latent_channels = 4
        kl_weight = 1e-4
        [autoencoders.flux2]
        widths = [8, 8, 16, 16]
        latent_channels = 32
        [autoencoders.rae]
        decoder_width = 32
        [evaluation]
        n_reference = 4
        """
    )
    return str(path)


def test_at_256_px_on_a_folder_and_what_is_exported_loads_elsewhere(photos, tmp_path, capsys):
    study = study_at_256(photos, tmp_path)
    arguments = [study, *folders(tmp_path)]
    assert train_autoencoder.main([*arguments, "--export", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["flux2", "rae", "sd"]
    flux2 = AutoencoderKLFlux2.from_pretrained(tmp_path / "out" / "flux2", low_cpu_mem_usage=False)
    assert flux2.config.latent_channels == 32
    assert flux2.bn.running_var.min() > 0
    sd = AutoencoderKL.from_pretrained(tmp_path / "out" / "sd", low_cpu_mem_usage=False)
    assert sd.config.scaling_factor != 0.18215
    assert not [name for name in sd.state_dict() if "adversary" in name]

    capsys.readouterr()
    assert train_autoencoder.main(arguments) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert train_autoencoder.main([*arguments, "--export", str(tmp_path / "out")]) == 2
    assert "is there already: name another folder" in capsys.readouterr().err

    # as a pretrained one it gives the very same numbers
    other = tmp_path / "other.toml"
    other.write_text(
        f"""
        extends = "large.toml"
        [autoencoders.again]
        family = "flux2"
        pretrained = "{tmp_path / "out" / "flux2"}"
        [autoencoders.again-rae]
        family = "rae"
        pretrained = "{tmp_path / "out" / "rae"}"
        """
    )
    assert reconstruct.main([str(other), *folders(tmp_path), "--ae", "flux2", "rae", "again", "again-rae"]) == 0
    rows = read_reconstruction(tmp_path / "data").query("study == 'other'").set_index(["ae", "metric"])
    for ae, again in (("flux2", "again"), ("rae", "again-rae")):
        assert set(rows.loc[again].origin) == {"pretrained"}
        assert set(rows.loc[again].weights) == {ae}  # the folder's name, not a path of this machine
        assert rows.loc[again].value.to_dict() == rows.loc[ae].value.to_dict()


def test_only_what_the_study_trains_can_be_trained(tmp_path, capsys):
    assert train_autoencoder.main([str(TINY), *folders(tmp_path), "--ae", "sd"]) == 2
    assert "unknown trained autoencoder 'sd'; allowed: flux2, rae" in capsys.readouterr().err
    assert train_autoencoder.main([str(TINY), *folders(tmp_path), "--device", "gpu"]) == 2
    assert "unknown device 'gpu'; allowed: auto, cpu, cuda" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused(tmp_path, capsys):
    assert train_autoencoder.main([str(TINY), *folders(tmp_path), "--device", "cuda"]) == 2
    assert "device 'cuda' is not available here" in capsys.readouterr().err


def test_one_autoencoder_that_diverges_is_named_and_the_others_go_on(tmp_path, capsys):
    study = tmp_path / "diverging.toml"
    study.write_text(
        f"""
        extends = "{TINY}"
        [autoencoders.flux2]
        kl_weight = 1e300
        [training]
        evaluate_at = [3]
        """
    )
    assert train.main([str(study), *folders(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "error: autoencoder 'flux2' diverged (loss nan at step" in message
    assert set(read_generation(tmp_path / "data").ae) == {"rae"}
    assert set(read_reconstruction(tmp_path / "data").ae) == {"rae"}


def test_settings_that_do_not_change_the_weights_do_not_retrain(tmp_path, capsys):
    arguments = [*folders(tmp_path), "--ae", "flux2"]
    assert train_autoencoder.main([str(TINY), *arguments]) == 0
    again = tmp_path / "tiny.toml"
    again.write_text(
        f'extends = "{TINY}"\n[autoencoder_training]\ncheckpoint_every = 3\n'
        '[autoencoders.flux2]\nprecision = "bfloat16"\n[evaluation]\nn_samples = 4\n'
    )
    assert load_study(str(again)).name == load_study(str(TINY)).name
    assert dataclasses.asdict(load_study(str(again))) != dataclasses.asdict(load_study(str(TINY)))
    capsys.readouterr()
    assert train_autoencoder.main([str(again), *arguments]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_kept_beside_the_data_it_is_found_without_the_runs(tmp_path, capsys):
    arguments = [TINY, *folders(tmp_path), "--ae", "flux2"]
    assert train_autoencoder.main([*arguments, "--keep"]) == 0
    (kept,) = (tmp_path / "data" / "autoencoders" / "study=tiny").iterdir()
    assert AutoencoderKLFlux2.from_pretrained(kept, low_cpu_mem_usage=False).config.latent_channels == 8
    shutil.rmtree(tmp_path / "runs")
    before = {path: path.read_bytes() for path in kept.iterdir()}
    capsys.readouterr()
    assert train.main([*arguments, "--only", "autoencoders", "reconstruction"]) == 0
    assert "0 autoencoders to train, 1 reconstructions" in capsys.readouterr().err
    assert train_autoencoder.main([*arguments, "--keep"]) == 0
    assert {path: path.read_bytes() for path in kept.iterdir()} == before
    assert not list((tmp_path / "runs").rglob("autoencoders/*"))
    # of another recipe it is another autoencoder, which has to be trained
    changed = tmp_path / "tiny.toml"
    changed.write_text(f'extends = "{TINY}"\n[autoencoder_training]\nsteps = 5\n')
    assert train.main([str(changed), *arguments[1:], "--only", "autoencoders", "--plan"]) == 0
    assert "autoencoders to train          1       0       1" in capsys.readouterr().out
