"""Your own autoencoder: the worked example of the docs goes all the way to rows and a point on the scatter."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from custom_study import EXAMPLE, study_with

from lrcore import reconstruct, train
from lrcore.autoencoders import custom
from lrcore.autoencoders.base import Autoencoder
from lrcore.autoencoders.custom import check_custom_name, custom_fingerprint, load_custom
from lrcore.errors import LrcoreError
from lrcore.figures.tradeoff import study_tradeoff
from lrcore.metrics.equivariance import equivariance_errors
from lrcore.records.reading import read_generation, read_latents, read_reconstruction


@pytest.fixture
def example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_autoencoder.py").write_text(EXAMPLE)
    return "my_autoencoder.py:Mine"


def test_the_example_of_the_docs_becomes_rows_and_a_point(example, tmp_path, capsys):
    arguments = study_with(tmp_path, example)
    assert reconstruct.main([*arguments, "--ae", "mine"]) == 0
    assert re.search(r"mine +\d+\.\d{4} ± ", capsys.readouterr().out)
    assert train.main(arguments) == 0
    generation, reconstruction = read_generation(tmp_path / "data"), read_reconstruction(tmp_path / "data")
    assert set(generation.ae) == set(reconstruction.ae) == {"mine"}
    assert (generation.status == "ok").all()
    assert set(reconstruction.origin) == {"custom"}
    assert set(reconstruction.weights) == {example}
    # unshuffled pixels come back as they were
    assert reconstruction.set_index("metric").value["ssim"] == pytest.approx(1.0)
    latents = read_latents(tmp_path / "data")
    flip = latents[latents.metric == "flip_error"]
    assert set(latents.ae) == {"mine"}
    assert len(flip) == 1
    assert (tmp_path / "imgs" / "mine" / "mine-00.png").exists()
    made = study_tradeoff(generation, reconstruction, metric="lpips_alex", baseline="mine")
    assert "mine" in [trace.name for trace in made.figure.data]
    capsys.readouterr()
    assert train.main(arguments) == 0
    assert "nothing to do" in capsys.readouterr().out
    Path("my_autoencoder.py").write_text(EXAMPLE + "\n# changed\n")
    assert train.main([*arguments, "--only", "diagnostics"]) == 0
    assert "nothing to do" not in capsys.readouterr().out


def test_latents_that_may_not_be_cached_are_encoded_anew(example, tmp_path):
    text = EXAMPLE.replace("super().__init__()", "super().__init__()\n        self.cacheable = False")
    Path("my_autoencoder.py").write_text(text)
    assert train.main([*study_with(tmp_path, example), "--only", "generation"]) == 0
    assert (read_generation(tmp_path / "data").status == "ok").all()
    assert not list((tmp_path / "runs").rglob("latents/*.safetensors"))


def test_latents_that_are_not_normalised_are_refused_with_the_remedy(example, tmp_path, capsys):
    Path("my_autoencoder.py").write_text(EXAMPLE.replace("return 2 *", "return 20 *"))
    assert train.main([*study_with(tmp_path, example), "--only", "generation"]) == 2
    assert re.search(r"latents of 'mine' have mean .* would be normalised", capsys.readouterr().err)
    assert read_generation(tmp_path / "data").empty


def test_an_entry_point_is_found_by_its_name(example, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("toy", "my_autoencoder:Mine", custom.GROUP)
    monkeypatch.setattr(custom, "entry_points", lambda group: [point] if group == custom.GROUP else [])
    check_custom_name("toy")
    made = load_custom("toy", 32)
    assert isinstance(made, Autoencoder)
    assert custom_fingerprint("toy", made).startswith("toy ")
    with pytest.raises(LrcoreError, match=r"unknown autoencoder family 'toi'; allowed: kl, .*did you mean 'toy'"):
        check_custom_name("toi")
    sys.modules.pop("my_autoencoder", None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Mine", "class Yours", r"unknown name in 'my_autoencoder.py' 'Mine'; allowed: .*Yours"),
        ("class Mine(Autoencoder)", "class Mine(nn.Module)", "gave a Mine, not an lrcore.autoencoders.base.Autoencod"),
        ("def decode_batch", "def decode_batches", "cannot be made: TypeError: .*decode_batch"),
        ("self.shape =", "self.form =", "must set self.shape to a LatentShape, it is None"),
        ("LatentShape(resolution,", "LatentShape(64,", "has shape.resolution 64, the study 32"),
        ("channels_per_token=48", "channels_per_token=16", r"gave \(2, 64, 48\), its shape says \(2, 64, 16\)"),
        ("nn.PixelUnshuffle(4), nn.PixelShuffle(4)", "nn.PixelUnshuffle(4), nn.PixelShuffle(2)", "of 'my_autoencoder"),
        ("nn.PixelUnshuffle(4)", "nn.PixelUnshuffle(5)", "failed on two random images: RuntimeError"),
        ("super().__init__()", "pass", r"cannot be made: AttributeError: cannot assign module before Module.__init__"),
        ("return 2 *", "return float('nan') *", "gave NaN or infinite values for random images"),
        ("from torch import nn", "import nowhere", "cannot be made: ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_what_does_not_keep_to_the_interface_is_named(old, new, message, example):
    assert old in EXAMPLE
    Path("my_autoencoder.py").write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(LrcoreError, match=message):
        load_custom(example, 32)


def test_an_autoencoder_that_is_no_module_yet_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bare.py").write_text(
        "from lrcore.autoencoders.base import Autoencoder\n"
        "class Bare(Autoencoder):\n"
        "    def __init__(self, resolution): self.side = resolution\n"
        "    def encode_batch(self, images): ...\n"
        "    def decode_batch(self, tokens): ...\n"
    )
    with pytest.raises(LrcoreError, match=r"__init__ of 'bare.py:Bare' must call super\(\).__init__\(\) first"):
        load_custom("bare.py:Bare", 32)


def test_weights_are_part_of_what_it_is(example):
    """The same code with other weights is another autoencoder; weights drawn at random are the same every time."""
    code = EXAMPLE.replace("super().__init__()", "super().__init__(); self.gain = nn.Parameter(torch.randn(3))", 1)
    Path("my_autoencoder.py").write_text("import torch\n" + code)
    made, again = (load_custom(example, 32) for _ in range(2))
    assert custom_fingerprint(example, made) == custom_fingerprint(example, again)
    with torch.no_grad():
        again.gain[1] += 1e-6
    assert custom_fingerprint(example, made) != custom_fingerprint(example, again)


@pytest.mark.parametrize("part", ["encode_batch", "decode_batch"])
def test_what_it_imports_is_part_of_what_it_is(part, example, tmp_path, monkeypatch):
    """A module beside it that changes what it makes of images; the same otherwise, on another processor, too."""
    monkeypatch.syspath_prepend(str(tmp_path))
    returned = {"encode_batch": "return 2 *", "decode_batch": "return self.up"}[part]
    code = EXAMPLE.replace(returned, returned.replace("return", "return neighbour.SCALE *"), 1)
    Path("my_autoencoder.py").write_text("import neighbour\n" + code)
    found = {}
    for scale in (1.0, 1.0 + 1e-7, 1.01):
        monkeypatch.setitem(sys.modules, "neighbour", SimpleNamespace(SCALE=scale))
        made = load_custom(example, 32)
        found[scale] = custom_fingerprint(example, made)
        assert custom_fingerprint(example, made) == found[scale]
    assert found[1.0] == found[1.0 + 1e-7] != found[1.01]


def test_randomness_of_its_own_does_not_make_it_another_each_time(example):
    code = EXAMPLE.replace("return 2 *", "return 2 * numpy.random.default_rng().normal() *", 1)
    Path("my_autoencoder.py").write_text("import numpy\n" + code)
    made, again = (load_custom(example, 32) for _ in range(2))
    assert custom_fingerprint(example, made) == custom_fingerprint(example, again)
    seeded = EXAMPLE.replace("return 2 *", "return 2 * torch.rand(()) *", 1)
    Path("my_autoencoder.py").write_text("import torch\n" + seeded)
    made, before = load_custom(example, 32), torch.get_rng_state()
    assert not custom_fingerprint(example, made).endswith("random")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_file_that_is_not_there():
    with pytest.raises(LrcoreError, match=r"autoencoder file 'nowhere.py' does not exist"):
        check_custom_name("nowhere.py:Mine")


def test_the_page_shows_the_same_example():
    page = (Path(__file__).parents[2] / "posts" / "your-own-autoencoder.qmd").read_text()
    shown = re.search(r"```python\n# my_autoencoder.py\n(.*?)\n```", page, re.DOTALL)[1]
    assert shown == EXAMPLE


def test_the_example_knows_that_its_tokens_are_patches_of_pixels(example):
    """Flipped or shifted by a token, the image's own pixels are the latent's."""
    made = load_custom(example, 32)
    images = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = equivariance_errors(made.encode, images, made.shape.grid, made.shape.patch)
    assert float(found["flip_error"].value) < 1e-6 and float(found["shift_error"].value) < 1e-6
