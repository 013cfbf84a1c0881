"""A look at one's own autoencoder before anything is measured: every slip is one line that says what to change."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from lrcore import check, new
from lrcore.autoencoders.base import Autoencoder, LatentShape, spread
from lrcore.autoencoders.patches import to_tokens
from lrcore.datasets.images import to_float
from lrcore.plan.costs import Costs
from lrcore.stages import inspection
from lrcore.stages.inspection import FAILURE, OK, WARNING, inspect
from lrcore.studies.loading import load_study

BEGIN = """
import torch
from torch import nn
from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.autoencoders.patches import from_tokens, to_tokens

class Mine(Autoencoder):
    def __init__(self, resolution):
        super().__init__()
        self.shape = LatentShape(resolution, (resolution // 8, resolution // 8), 48, patch=2)
        self.down, self.up = nn.Sequential(nn.AvgPool2d(2), nn.PixelUnshuffle(2)), nn.PixelShuffle(2)

    def encode_batch(self, images):
        return to_tokens(2 * self.down(images) + 0.2, 2)

    def decode_batch(self, tokens):
        small = self.up((from_tokens(tokens, 2, self.shape.grid) - 0.2) / 2)
        return nn.functional.interpolate(small, scale_factor=2)
"""
"""As an author would write it: images are halved, tokens hold 2 x 2 latent pixels of 12 channels."""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the class with one slip; gives the arguments that check it."""
    monkeypatch.chdir(tmp_path)

    def write(*slips):
        text = BEGIN
        for right, wrong in slips:
            assert right in text
            text = text.replace(right, wrong)
        Path("mine.py").write_text(text)
        return ["mine.py", "--resolution", "64", "--device", "cpu"]

    return write


def levels(out):
    return {line[8:17].strip(): line[:8].strip() for line in out.splitlines() if re.match(r"ok|warning|FAILED", line)}


def line_on(what, out):
    return next(line for line in out.splitlines() if line[8:17].strip() == what)


def test_a_class_that_is_well_is_told_so_and_what_comes_next(written, capsys):
    assert check.main(written()) == 0
    out = capsys.readouterr().out
    assert set(levels(out).values()) <= {"ok", "warning"} and {"shape", "twice", "patch", "PSNR"} <= levels(out).keys()
    assert "64 x 64 px to 8 x 8 tokens of 48 channels (patch 2), 8 px each" in out
    assert "next  python -m lrcore.new mine-study --file mine.py:Mine" in out
    assert not list(Path().glob("runs*")) and not Path("data").exists()


@pytest.mark.parametrize(
    ("slip", "what", "level", "message"),
    [
        (("+ 0.2, 2)", "+ torch.randn(()), 2)"), "twice", "FAILED", "mode instead of"),
        (("+ 0.2, 2)", "+ images.mean(), 2)"), "alone", "FAILED", "by itself"),
        (("48, patch=2)", "48, patch=3)"), "shape", "FAILED", "patch 3 means 9 latent pixels a token, which do not"),
        (("/ 2)\n", "/ 2) / 2 + 0.5\n"), "PSNR", "warning", r"return 2 \* images - 1 of your decoder"),
        (("- 0.2) / 2)\n", "- 0.2) / 2) * 127.5 + 127.5\n"), "PSNR", "warning", "return images / 127.5 - 1 of your"),
        (("scale_factor=2)", "scale_factor=2).flip(1)"), "PSNR", "warning", r"return images.flip\(1\) of your decoder"),
        (("scale_factor=2)", "scale_factor=2) * torch.tensor(0.0)"), "PSNR", "warning", "are the right weights loaded"),
        (("scale_factor=2)", "scale_factor=2) * 3"), "range", "warning", r"outside \+-1.1; at 1 they are clamped"),
        (("to_tokens(2 *", "to_tokens(20 *"), "latents", "warning", r'normalise = "all" under \[autoencoders.mine\]'),
        (("+ 0.2, 2)", "+ 0.2, 2) * torch.tensor([0.001] + [1.0] * 47)"), "latents", "warning", '"channel" under'),
        (("+ 0.2, 2)", "+ 0.2, 2) * torch.tensor([0.0] + [1.0] * 47)"), "latents", "FAILED", "leave them out"),
    ],
)  # fmt: skip
def test_every_slip_is_one_line_with_what_to_change(slip, what, level, message, written, capsys):
    assert check.main(written(slip)) == (2 if level == "FAILED" else 0)
    out = capsys.readouterr().out
    assert levels(out)[what] == level and re.search(message, line_on(what, out))


def test_code_that_fails_on_one_image_alone_is_named(written, capsys):
    assert check.main(written(("+ 0.2, 2)", "+ 0.2, 2)[:, :, : 48 // (len(images) > 1)]"))) == 2
    assert "FAILED  images" in (out := capsys.readouterr().out) and "ZeroDivisionError" in line_on("images", out)


def test_what_cannot_be_made_is_named(written, capsys):
    assert check.main(written(("def decode_batch", "def decode"))) == 2
    assert "FAILED  made" in capsys.readouterr().out
    for arguments, message in [
        (["nowhere.py"], r"'nowhere.py' does not exist; python -m lrcore.new NAME writes one"),
        (["mine.py:Yours"], "unknown name in 'mine.py' 'Yours'"),
        (["mine.py", "--resolution", "0"], "--resolution must be at least 1 and at most 2,048, got 0"),
        (["mine.py", "--ae", "mine"], "--ae goes with a study"),
        (["smoke", "--resolution", "64"], "--resolution goes with a file of Python"),
        (["smoky"], "unknown study 'smoky'; .*did you mean 'smoke'"),
    ]:
        assert check.main(arguments) == 2
        said = capsys.readouterr()
        assert re.search(message, said.out + said.err), said
    Path("mine.py").write_text("def f(:")
    assert check.main(["mine.py"]) == 2
    assert "cannot be read as Python" in capsys.readouterr().err
    Path("mine.py").write_text("class A(Autoencoder): ...\nclass B(Autoencoder): ...")
    assert check.main(["mine.py"]) == 2
    assert "2 classes that subclass Autoencoder; name one of it as mine.py:NAME" in capsys.readouterr().err


class Smooth(Autoencoder):
    """Means of 4 x 4 pixels, in the orders that are asked for."""

    def __init__(self, by_columns=False, channels_last=False):
        super().__init__()
        self.shape, self.by_columns, self.channels_last = LatentShape(64, (8, 8), 12, 2), by_columns, channels_last

    def encode_batch(self, images):
        small = torch.nn.functional.avg_pool2d(images, 4)
        tokens = to_tokens(small.transpose(2, 3) if self.by_columns else small, 2)
        return tokens.unflatten(2, (3, 2, 2)).permute(0, 1, 3, 4, 2).flatten(2) if self.channels_last else tokens

    def decode_batch(self, tokens):
        return tokens.new_zeros(len(tokens), 3, 64, 64)


@pytest.mark.parametrize(
    ("options", "wrong"), [({"by_columns": True}, "order"), ({"channels_last": True}, "patch"), ({}, "")]
)
def test_the_order_of_tokens_and_of_their_channels_is_seen(options, wrong):
    images = check._photographs(64).train.images
    found = {finding.what: finding.level for finding in inspect(Smooth(**options), images, images, "mine")}
    assert {what for what in ("order", "patch") if found[what] != OK} == ({wrong} if wrong else set())


@pytest.mark.parametrize(("contrast", "level"), [(0.0, WARNING), (0.2, WARNING), (0.3, OK)])
def test_images_of_nearly_one_colour_are_seen(contrast, level, monkeypatch):
    """The range is right, and little is in it."""
    images = check._photographs(64).train.images
    monkeypatch.setattr(Smooth, "decode_batch", lambda self, tokens: contrast * to_float(spread(images, len(tokens))))
    (found,) = [finding for finding in inspect(Smooth(), images, images, "mine") if finding.what == "range"]
    assert found.level == level and ("one colour" in found.text) is (level == WARNING)


def test_a_slow_network_is_looked_at_with_few_images(monkeypatch):
    seen = []
    monkeypatch.setattr(inspection, "SECONDS", 0.0)
    monkeypatch.setattr(
        Smooth,
        "decode_batch",
        lambda self, tokens: seen.append(len(tokens)) or tokens.new_zeros(len(tokens), 3, 64, 64),
    )
    images = check._photographs(64).train.images
    last = [*inspect(Smooth(), images, images, "mine")][-1]
    assert max(seen) == inspection.FEW and "16 training images" in last.text and last.level in (OK, WARNING, FAILURE)


def test_what_new_writes_passes_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.001)
    assert new.main(["my-own"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next  python -m lrcore.check my-own.toml"
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert check.main(["my-own.py", "--resolution", "32", "--device", "cpu"]) == 0
    assert check.main(["my-own.toml", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "FAILED" not in out and "trained by the study, so there is nothing to check yet: sd, flux1" in out
    assert re.search(r"next +reconstruction +about .* python -m lrcore.reconstruct my-own.toml --ae my-own", out)
    assert re.search(r"next +the rest .* python -m lrcore.train my-own.toml --ae my-own", out)
    assert 'by normalise = "channel" mean 0 and deviation 1' in out
    assert check.main(["my-own.toml", "--device", "cpu", "--compare-with", "smoke"]) == 0
    beside = capsys.readouterr().out
    assert "compared with study 'smoke'" in beside and "32 px as they are give it 64 tokens, as they have" in beside
    assert beside.count(" --compare-with smoke\n") == 3 and "nothing to check yet" not in beside
    assert check.main(["my-own.py", "--compare-with", "smoke"]) == 2
    assert "--compare-with goes with a study" in capsys.readouterr().err
    assert new.main(["my-own"]) == 2
    assert "'my-own.py' is there already, and nothing is overwritten" in capsys.readouterr().err
    assert new.main(["other", "--file", "my-own.py:MyOwn"]) == 0
    assert 'family = "my-own.py:MyOwn"' in Path("other.toml").read_text() and not Path("other.py").exists()
    shutil.copy("my-own.py", 'it"s\\own.py')
    assert new.main(["fourth", "--file", "my-own.py:MyOwm"]) == 2
    assert "--file: unknown name in my-own.py 'MyOwm'; allowed: MyOwn, stored, " in capsys.readouterr().err
    assert not Path("fourth.toml").exists()
    assert new.main(["third", "--file", 'it"s\\own.py:MyOwn']) == 0
    assert load_study("third.toml").autoencoders["third"].family.endswith('it"s\\own.py:MyOwn')
    Path("my-own.toml").write_text(
        Path("my-own.toml").read_text().replace('repa = ["none"]', 'repa = ["none"]\nwidth = [32]')
    )
    capsys.readouterr()
    assert check.main(["my-own.toml", "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert "a transformer of width 32 is narrower than the 48 channels of a token of 'my-own'" in line_on(
        "width", said.out
    )
    assert "next" not in said.out and "mend what FAILED, then check again: my-own" in said.err
    assert all(path.read_bytes() == content for path, content in before.items() if path.suffix == ".py")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Mine", "must be lower-case letters, digits and '-'"),
        ("a_b", "must be lower-case"),
        ("../x", "must be lower-case"),
        ("orig", "not 'orig'"),
        ("smoke", "is that of a study of lrcore's"),
        ("torch", "is that of a Python module, which torch.py would hide"),
        ("json", "is that of a Python module"),
        ("x" * 41, "at most 40"),
    ],
)
def test_names_that_would_stand_in_the_way_are_refused(name, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert new.main([name]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_weights_of_ones_own_are_loaded(tmp_path, monkeypatch):
    """As the comments of the file say: the networks replaced, the file named."""
    from lrcore.autoencoders.custom import load_custom

    monkeypatch.chdir(tmp_path)
    assert new.main(["mine"]) == 0
    text = Path("mine.py").read_text().replace("nn.PixelUnshuffle(DOWNSAMPLING)", "nn.Conv2d(3, CHANNELS, 4, 4)")
    text = text.replace("nn.PixelShuffle(DOWNSAMPLING)", "nn.ConvTranspose2d(CHANNELS, 3, 4, 4)")
    Path("mine.py").write_text(text.replace('WEIGHTS = ""', 'WEIGHTS = "mine.pt"'))
    state = load_custom_without_weights(text)
    torch.save({"state_dict": state}, "mine.pt")
    loaded = load_custom("mine.py:Mine", 32).state_dict()
    assert loaded.keys() == state.keys() and all(torch.equal(loaded[name], state[name]) for name in state)


def load_custom_without_weights(text):
    names = {"__file__": "mine.py"}
    exec(text, names)
    torch.manual_seed(5)
    return names["Mine"](32).state_dict()
