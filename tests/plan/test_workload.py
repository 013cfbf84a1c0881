"""What is counted beforehand is what happens: operations of a tiny study against the calls of the functions behind."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from lrcore import train
from lrcore.autoencoders.base import Autoencoder
from lrcore.flow.objective import FlowMatching
from lrcore.flow.transformer import DiffusionTransformer
from lrcore.metrics import frechet, interpolation, pairs
from lrcore.metrics.features import FeatureNetwork
from lrcore.plan.operations import Kind
from lrcore.plan.report import everything
from lrcore.plan.workload import workload
from lrcore.runtime.folders import Folders
from lrcore.stages import anchors, diagnostics, features, reconstruction
from lrcore.stages.engine import STAGES, left_to_do
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study
from lrcore.training.checkpoints import TrainingState

STUDY = f"""
extends = "{Path(__file__).parents[1] / "tiny.toml"}"
[data]
train_images = 40
[evaluation]
n_samples = 6
n_reference = 40
n_interpolated = 12
[[grid]]
ae = ["flux2"]
trainp = ["ln"]
trainshift = [1.0]
repa = ["none", "efficientnet_lite0"]
[[grid]]
ae = ["rae"]
trainp = ["ln"]
trainshift = [1.0]
repa = ["none"]
[[choice]]
ae = ["flux2"]
n_samples = [7, 4]
train_seed = [3, 4]
[[choice]]
ae = ["flux2"]
n_samples = [4]
trainp = ["ts"]
width = [32]
"""


@pytest.fixture
def calls(monkeypatch):
    """A counter of what is called from now on: images, steps, pairs, by kind of operation."""
    found = Counter()

    def count(owner, name, kind, of, once=False):
        original = cache(getattr(owner, name)) if once else getattr(owner, name)

        def counted(*arguments, **named):
            what = kind(*arguments) if callable(kind) else kind
            if what is not None:
                found[what] += of(*arguments)
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)

    def one(*arguments):
        return 1

    def steps(state, loss):
        return Kind.STEP if isinstance(state.model, FlowMatching) else Kind.AUTOENCODER_STEP

    def sampled(model, *inputs):
        return None if model.training else Kind.PASS

    count(TrainingState, "advance", steps, one)
    count(Autoencoder, "encode", Kind.ENCODE, lambda self, images, *more: len(images))
    count(Autoencoder, "posterior", Kind.ENCODE, lambda self, images: len(images))
    count(Autoencoder, "decode", Kind.DECODE, lambda self, tokens: len(tokens))
    count(DiffusionTransformer, "forward", sampled, lambda self, tokens, *more: len(tokens))
    count(FeatureNetwork, "__call__", Kind.FEATURES, lambda self, pixels: len(pixels))
    count(features, "_patches", Kind.PATCHES, lambda work, images: len(images))
    count(features, "load_features", Kind.LOAD, one, once=True)
    count(reconstruction, "psnr", Kind.METRICS, lambda originals, decoded: len(decoded))
    count(reconstruction, "load_lpips", lambda name, device: Kind.LOAD_LPIPS if name == "lpips_alex" else None, one,
          once=True)  # fmt: skip
    count(diagnostics, "diagnose", Kind.DIAGNOSE, one)
    count(diagnostics, "predict", Kind.PREDICT, one)
    count(diagnostics, "great_circle_latents", Kind.NEIGHBOURS, one)
    count(diagnostics, "gaussian_loss", Kind.LINEAR, one)
    count(interpolation, "nearest_neighbours", Kind.NEIGHBOURS, one)
    count(anchors, "moment_matched", Kind.GAUSSIAN, lambda weights, mean, chunks: len(weights))
    count(frechet, "_factor", Kind.FACTOR, one)
    count(frechet.FrechetReference, "begin", Kind.FRECHET, one)
    count(frechet.GaussianStatistics, "update", Kind.STATISTICS, lambda self, batch: len(batch))
    count(pairs, "_product", Kind.PAIR, lambda x, y: len(x) * len(y))
    return found


def counted(folder, begun, *stages):
    """By kind, of what is left of the study in `folder`."""
    study = load_study(str(folder / "counted.toml"))
    work = Workspace(study, Folders(*(folder / name for name in ("data", "imgs", "runs"))), None, None)
    asked = (work, stages or STAGES, [*study.autoencoders], study.cells)
    found = Counter()
    for operation, count in workload(work, (left_to_do if begun else everything)(*asked), begun).items():
        found[operation.kind] += count
    return found


def test_what_is_counted_is_what_happens(tmp_path, calls):
    """In two parts, so that what the first leaves in files is not counted for the second."""
    (tmp_path / "counted.toml").write_text(STUDY)
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    first = STAGES[: STAGES.index("generation")]
    assert counted(tmp_path, True) == counted(tmp_path, False)
    for stages in first, STAGES:
        wanted = counted(tmp_path, True, *stages)
        calls.clear()
        assert train.main([str(tmp_path / "counted.toml"), *places, "--only", *stages]) == 0
        if stages is first:
            wanted[Kind.ENCODE] += 2  # of each latent space, an image to see how large its latents are on disk
        assert calls == wanted
    assert not counted(tmp_path, True)
