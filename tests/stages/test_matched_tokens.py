"""Which size of the images gives an autoencoder the tokens of those that it is compared with."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import AutoencoderSpec, StudyPath
from lrcore.stages import matched_tokens
from lrcore.stages.matched_tokens import matched
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

CLASS = """
from pathlib import Path
import torch
from torch import nn
from lrcore.autoencoders.base import Autoencoder, LatentShape, token_grid
from lrcore.autoencoders.patches import from_tokens, to_tokens

class Mine(Autoencoder):
    def __init__(self, resolution, step=8, fixed=0):
        super().__init__()
        with Path(__file__).with_name("made").open("a") as file:
            file.write(f"{resolution} ")
        grid = (fixed, fixed) if fixed else token_grid(resolution, step, 1)
        self.shape, self.step = LatentShape(resolution, grid, 3), step
        self.pool = nn.AdaptiveAvgPool2d(grid)

    def encode_batch(self, images):
        return to_tokens(self.pool(images), 1)

    def decode_batch(self, tokens):
        return nn.functional.interpolate(from_tokens(tokens, 1, self.shape.grid), self.shape.resolution)
"""


def workspace(folder, spec):
    study = dataclasses.replace(load_study("smoke"), autoencoders={"mine": spec})
    places = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(study, places, StopRequest(), lambda steps: None)


def own(folder, size=0, **options):
    """One of one's own whose token spans `step` px a side, or that has `fixed` x `fixed` tokens at any size."""
    (folder / "mine.py").write_text(CLASS)
    family = StudyPath(f"{folder}/mine.py:Mine", "mine.py:Mine")
    return workspace(
        folder, AutoencoderSpec(family, size=size, options=type(AutoencoderSpec("x").options)(options.items()))
    )


@pytest.fixture(autouse=True)
def without_diffusers(monkeypatch):
    """Which takes seconds to import; `test_autoencoders` asks it."""
    monkeypatch.setattr(
        matched_tokens, "stored_config", lambda source, *place: json.loads((Path(source) / "config.json").read_text())
    )


def stored(folder, size=0, family="kl", patch=1, **config):
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKL", **config}))
    return workspace(folder, AutoencoderSpec(family, pretrained=str(folder / "model"), patch=patch, size=size))


def size_of(work, *theirs):
    return matched(work, Counter(theirs)).study.autoencoders["mine"].size


@pytest.mark.parametrize(("step", "size"), [(4, 0), (8, 64), (16, 128), (32, 256), (2, 16), (14, 112), (64, 512)])
def test_downsampling_says_the_size_that_gives_64_tokens(step, size, tmp_path):
    """Some cannot be made for 32 px at all."""
    assert size_of(own(tmp_path, step=step), 64, 64) == size


def test_any_number_of_theirs_that_needs_no_resizing_is_taken_else_the_commonest(tmp_path):
    assert size_of(own(tmp_path, step=8), 64, 64, 16) == 0
    assert size_of(own(tmp_path, step=16), 64, 64, 16) == 128
    assert size_of(own(tmp_path, step=16), 64, 16, 16) == 64
    # of as many of each, the fewest tokens
    assert size_of(own(tmp_path, step=16), 64, 16) == 64


@pytest.mark.parametrize(
    ("options", "theirs", "message"),
    [
        ({"step": 8}, 60, "it has 16 tokens of an image of 32 px, where 60 are wanted; no size of the images gives it "
         "60 tokens: a token spans 8 px a side, so that it has 49 at 56 px and 64 at 64 px"),
        ({"fixed": 4}, 64, "it has 16 tokens of an image of 32 px, where 64 are wanted, and at 64 px, which should "
         "give them, it has 16"),
        ({"step": 40}, 64, "resolution 32 must be a multiple of 40 px .* At other sizes it does not have 64 tokens"),
        ({"step": 40}, 25, r"does not have 25 tokens either \(it has 1 at 40 px, 4 at 80 px"),
        ({"step": 0}, 64, "autoencoder 'mine.py:Mine' cannot be made: ZeroDivisionError"),
    ],
)  # fmt: skip
def test_where_no_size_does_the_error_says_what_is_possible(options, theirs, message, tmp_path):
    with pytest.raises(LrcoreError, match=f"^autoencoders.mine: .*{message}") as found:
        size_of(own(tmp_path, **options), theirs)
    assert "`size` under its table" in str(found.value) and "\n" not in str(found.value)


def test_a_size_that_the_file_says_stays_and_its_tokens_are_told(tmp_path):
    for size, said in ((128, "128 px inside, as its size says: 256 tokens; they have 64: not as much"),
                       (64, "64 px inside, as its size says: 64 tokens; they have 64")):  # fmt: skip
        found = matched(own(tmp_path, size=size, step=8), Counter([64]))
        assert found.study.autoencoders["mine"].size == size and said in found.notes["mine"]
    assert not found.notes["mine"].endswith("transformer")


def test_a_plan_runs_no_code_and_knows_what_a_run_found(tmp_path):
    work = own(tmp_path, step=8)
    work.runs_code = False
    assert "unknown until run" in matched(work, Counter([64])).notes["mine"] and not (tmp_path / "made").exists()
    assert size_of(own(tmp_path, step=8), 64) == 64
    made = (tmp_path / "made").read_text()
    found = matched(work, Counter([64]))
    assert found.study.autoencoders["mine"].size == 64 and "resized to 64 px" in found.notes["mine"]
    assert (tmp_path / "made").read_text() == made
    # of other tokens, of other options and of other code nothing is known
    for other, theirs in ((work, 16), (own(tmp_path, step=4), 64)):
        other.runs_code = False
        assert "unknown until run" in matched(other, Counter([theirs])).notes["mine"]
    (tmp_path / "mine.py").write_text(CLASS + "# changed\n")
    assert "unknown until run" in matched(work, Counter([64])).notes["mine"]


@pytest.mark.parametrize(
    ("family", "config", "size"),
    [
        ("kl", {"block_out_channels": [8] * 4}, 64),
        ("kl", {"block_out_channels": [8] * 3}, 0),
        ("kl", {"block_out_channels": [8] * 6}, 256),
        ("flux2", {"block_out_channels": [8] * 4, "patch_size": [2, 2]}, 128),
        ("rae", {"encoder_input_size": 112, "encoder_patch_size": 14, "image_size": 128}, 128),
        ("rae", {"encoder_input_size": 112, "encoder_patch_size": 14, "patch_size": 4}, 0),
        ("rae", {"grid": 8, "resolution": 64}, 64),
        ("diffusers", {"block_out_channels": [8] * 4}, 64),
        ("diffusers", {"_class_name": "AutoencoderDC", "encoder_block_out_channels": [8] * 6}, 256),
    ],
)
def test_of_a_stored_model_its_config_says_it(family, config, size, tmp_path):
    assert size_of(stored(tmp_path, family=family, **config), 64) == size


def test_of_published_models_nothing_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    flux = AutoencoderSpec("kl", pretrained="black-forest-labs/FLUX.1-dev", subfolder="vae")
    assert size_of(workspace(tmp_path, flux), 64) == 128


def test_a_stored_model_of_one_size_says_that_it_has_no_other(tmp_path):
    with pytest.raises(
        LrcoreError, match="it has 256 tokens of an image of 256 px, where 64 are wanted; it takes images"
    ):
        size_of(stored(tmp_path, family="rae"), 64)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (AutoencoderSpec("patches", patch=8), "patch = 4 has them"),
        (AutoencoderSpec("kl", widths=(8,) * 4, latent_channels=1, patch=1),
         "patch = 1 with 3 widths or patch = 2 with 2 widths or patch = 4 with 1 widths has them"),
        (AutoencoderSpec("flux2", widths=(8,) * 3, latent_channels=1, patch=2), "patch = 2 with 2 widths has them"),
    ],
)  # fmt: skip
def test_what_the_study_makes_itself_is_not_resized(spec, message, tmp_path):
    with pytest.raises(LrcoreError, match=f"^autoencoders.mine: it has 16 tokens .* {message}"):
        size_of(workspace(tmp_path, spec), 64)
    assert size_of(workspace(tmp_path, spec), 16) == 0
