"""Latents on disk: shards that processes share, read back as they were made, mirrored and sampled on request."""

import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lrcore.autoencoders.base import Autoencoder, LatentShape, Posterior
from lrcore.autoencoders.rae import TimmRaeAutoencoder
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.runtime.tensor_files import save_tensors
from lrcore.stages import latent_shards, resident
from lrcore.stages.batches import TrainingBatches
from lrcore.stages.latent_shards import LatentShards, ShardPlan, ensure_shards
from lrcore.stages.training import training_recipe
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

TINY = Path(__file__).parents[1] / "tiny.toml"


class Uneven(Autoencoder):
    """Tokens of 2 x 2 px whose encoder does not commute with the mirror; `std` tells the image's brightness."""

    def __init__(self, posterior=True):
        super().__init__()
        self.shape = LatentShape(4, (2, 2), 12, 2)
        self.down = nn.PixelUnshuffle(2)
        self.has_posterior, self.encoded = posterior, 0

    def encode_batch(self, images):
        self.encoded += len(images)
        ramp = torch.linspace(0, 1, 4)
        return self.down(images + ramp).flatten(2).transpose(1, 2)

    def posterior_batch(self, images):
        mean = self.encode_batch(images)
        return Posterior(mean, mean.abs() + 0.1 if self.has_posterior else None)

    def decode_batch(self, tokens):
        raise NotImplementedError


@pytest.fixture
def pixels(monkeypatch):
    monkeypatch.setattr(latent_shards, "SHARD_IMAGES", 8)
    return torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def made(folder, pixels, autoencoder, precision="float32", flipped=True):
    plan = ShardPlan(folder, len(pixels), precision, flipped)
    ensure_shards(plan, autoencoder, pixels, "toy", lambda: None)
    return plan


def test_what_is_stored_is_the_posterior_of_the_image_and_of_its_mirror(pixels, tmp_path):
    autoencoder = Uneven()
    plan = made(tmp_path, pixels, autoencoder)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == sorted(
        f"{number:05d}{end}.safetensors" for number in range(3) for end in ("", "-flipped")
    )
    assert len(load_file(plan.path(2, False))["mean"]) == 4
    numbers, flipped = torch.tensor([19, 0, 8, 3]), torch.tensor([True, False, True, False])
    found = LatentShards(plan)[numbers, flipped]
    seen = torch.where(flipped[:, None, None, None], pixels[numbers].flip(-1), pixels[numbers])
    expected = autoencoder.posterior(seen)
    for part, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=0)
    mirrored_latent = autoencoder.encode(pixels[:1]).unflatten(1, (2, 2)).flip(2).flatten(1, 2)
    assert (mirrored_latent - autoencoder.encode(pixels[:1].flip(-1))).abs().max() > 0.1


def test_an_autoencoder_without_posterior_stores_no_deviation_and_half_precision_half_the_bytes(pixels, tmp_path):
    autoencoder = Uneven(posterior=False)
    plan = made(tmp_path, pixels, autoencoder, "float16", flipped=False)
    stored = load_file(plan.path(0, False))
    assert set(stored) == {"mean"} and stored["mean"].dtype == torch.float16
    found = LatentShards(plan)[torch.arange(20), torch.zeros(20, dtype=torch.bool)]
    assert found.std is None and found.mean.dtype == torch.float16
    torch.testing.assert_close(found.mean.float(), autoencoder.encode(pixels), rtol=1e-3, atol=1e-3)
    on_disk = sum(len(load_file(path)["mean"].numpy().tobytes()) for path in tmp_path.glob("*.safetensors"))
    assert on_disk == plan.bytes_of(autoencoder.shape.dimension, False, plan.shards) == 20 * 48 * 2


def test_the_deviation_is_left_on_the_disk_where_nobody_asks_for_it(pixels, tmp_path):
    plan = made(tmp_path, pixels, Uneven())
    where = torch.arange(20), torch.zeros(20, dtype=torch.bool)
    whole, mean = LatentShards(plan)[where], LatentShards(plan, with_std=False)[where]
    assert mean.std is None and whole.std is not None and torch.equal(mean.mean, whole.mean)


def test_only_missing_shards_are_made_and_the_disk_they_take_is_told(pixels, tmp_path, capsys):
    autoencoder = Uneven()
    plan = made(tmp_path, pixels, autoencoder)
    capsys.readouterr()
    plan.path(1, True).unlink()
    before, autoencoder.encoded = plan.path(0, False).stat().st_mtime_ns, 0
    made(tmp_path, pixels, autoencoder)
    assert autoencoder.encoded == 8 + 1  # the shard, and one image to see whether there is a posterior
    assert plan.path(0, False).stat().st_mtime_ns == before
    assert re.search(r"latents of 'toy': 1 of 6 shards to encode, 0\.00 GB under", capsys.readouterr().err)
    made(tmp_path, pixels, autoencoder)
    assert capsys.readouterr().err == ""


def test_a_disk_without_room_is_found_out_before_any_work(pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(latent_shards.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000))
    with pytest.raises(LrcoreError, match=r"0\.00 GB are free: make room, .*--runs, or set training.latent_precision"):
        made(tmp_path, pixels, Uneven())
    assert not list(tmp_path.glob("*.safetensors"))


def test_several_make_the_shards_together_and_each_is_made_once(pixels, tmp_path):
    meet = threading.Barrier(2)

    class Waiting(Uneven):
        """Waits in its first shard until the other one is in its own."""

        def posterior_batch(self, images):
            if len(images) > 1 and not self.encoded > 1:
                meet.wait(timeout=20)
            return super().posterior_batch(images)

    pair = [Waiting(), Waiting()]
    threads = [threading.Thread(target=made, args=(tmp_path, pixels, one)) for one in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.encoded for one in pair) == 2 * 20 + 2
    assert min(one.encoded for one in pair) > 1


def test_stopped_in_the_middle_whole_shards_stay(pixels, tmp_path):
    stop = StopRequest()
    calls = []

    def check():
        calls.append(0)
        if len(calls) == 3:
            stop.reason = "asked to"
        stop.check()

    plan = ShardPlan(tmp_path, len(pixels), "float32", False)
    with pytest.raises(StudyInterrupted):
        ensure_shards(plan, Uneven(), pixels, "toy", check)
    assert [plan.path(number, False).exists() for number in range(3)] == [True, True, False]
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_damaged_shard_is_named(pixels, tmp_path):
    plan = made(tmp_path, pixels, Uneven())
    whole = plan.path(0, False).read_bytes()
    plan.path(0, False).write_bytes(whole[:-10])
    with pytest.raises(LrcoreError, match=r"00000\.safetensors' is damaged .*`rm .*00000\.safetensors`, then"):
        LatentShards(plan)[torch.tensor([0]), torch.tensor([False])]
    plan.path(0, False).write_bytes(plan.path(2, False).read_bytes())
    with pytest.raises(LrcoreError, match=r"does not hold 8 latents"):
        LatentShards(plan)[torch.tensor([0]), torch.tensor([False])]


# In a study


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The tiny study's autoencoders."""
    from lrcore.stages.autoencoder import ensure_autoencoder

    folder = tmp_path_factory.mktemp("study")
    work = workspace(folder, "")
    for ae in work.study.autoencoders:
        ensure_autoencoder(work, ae)
    return folder


def workspace(folder, training):
    path = folder / "tiny.toml"
    path.write_text(f'extends = "{TINY}"\n[training]\n{training}\n')
    folders = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(str(path)), folders, StopRequest(), lambda steps: None)


def batches(folder, training, ae="flux2", features=False, steps=4):
    from lrcore.stages.autoencoder import ensure_autoencoder

    work = workspace(folder, training)
    source = TrainingBatches(work, ae, ensure_autoencoder(work, ae), features, seed=1)
    try:
        return [source(step) for step in range(steps)]
    finally:
        source.close()


def test_samples_of_the_posterior_scatter_about_the_mode_and_are_replayed(trained):
    modes, samples = batches(trained, ""), batches(trained, 'latent = "sample"')
    again = batches(trained, 'latent = "sample"')
    for mode, sample, same in zip(modes, samples, again, strict=True):
        assert torch.equal(mode.labels, sample.labels) and torch.equal(sample.tokens, same.tokens)
        assert not torch.equal(mode.tokens, sample.tokens)
    deviations = torch.cat([a.tokens - b.tokens for a, b in zip(samples, modes, strict=True)])
    assert deviations.mean().abs() < 0.1 * deviations.std()


def test_half_of_the_images_are_mirrored_with_latents_and_features_of_the_mirrored(trained):
    plain, flipped = batches(trained, "", features=True), batches(trained, "flip = true", features=True)
    same = [
        torch.tensor([torch.equal(one, other) for one, other in zip(a.tokens, b.tokens, strict=True)])
        for a, b in zip(plain, flipped, strict=True)
    ]
    assert 0.25 < torch.cat(same).float().mean() < 0.75
    for a, b, kept in zip(plain, flipped, same, strict=True):
        # features of the mirrored are computed at each step, in another batch than those that are stored
        torch.testing.assert_close(a.features[kept], b.features[kept], rtol=1e-3, atol=1e-3)
        distance = (a.features[~kept] - b.features[~kept]).abs().amax((1, 2))
        assert (distance > 0.1).all()


def test_all_of_them_at_once_come_in_order_the_mirrored_ones_last(pixels, tmp_path):
    shards = LatentShards(made(tmp_path, pixels, Uneven(), "float16"))
    whole, images = shards.whole(torch.device("cpu")), len(pixels)
    assert shards.nbytes == whole.mean.nbytes + whole.std.nbytes
    for flipped in (False, True):
        found = shards[torch.arange(images), torch.full((images,), flipped)]
        rows = slice(images * flipped, images * (1 + flipped))
        assert torch.equal(whole.mean[rows], found.mean) and torch.equal(whole.std[rows], found.std)
    assert LatentShards(made(tmp_path / "mode", pixels, Uneven(posterior=False))).whole(torch.device("cpu")).std is None


@pytest.mark.parametrize("training", ["", "flip = true", 'flip = true\nlatent = "sample"'])
def test_batches_gathered_on_the_device_are_the_same(trained, training, monkeypatch):
    expected = batches(trained, training, features=True)
    rooms = []
    monkeypatch.setattr(resident, "room", lambda device: rooms.append(device) or 2**40)
    monkeypatch.setattr(LatentShards, "__getitem__", None)
    for batch, same in zip(batches(trained, training, features=True), expected, strict=True):
        assert all(torch.equal(getattr(batch, part), getattr(same, part)) for part in ("tokens", "labels", "features"))
    assert len(rooms) == 1 + ("flip" not in training)  # features of mirrored images are not stored


def test_what_the_device_has_no_room_for_is_read_as_ever(trained, monkeypatch):
    expected = batches(trained, "", features=True)
    monkeypatch.setattr(resident, "room", lambda device: 48 * 64 * 32 * 4 - 1)  # 48 latents of 64 tokens, 32 channels
    monkeypatch.setattr(LatentShards, "whole", None)
    for batch, same in zip(batches(trained, "", features=True), expected, strict=True):
        assert torch.equal(batch.tokens, same.tokens) and torch.equal(batch.features, same.features)


def test_room_that_is_free_again_is_used(trained, monkeypatch):
    work, key = workspace(trained, ""), ("shards",)
    features = torch.zeros(4, 2, 3)
    monkeypatch.setattr(resident, "features_recipe", lambda work: key)
    monkeypatch.setattr(resident, "room", lambda device: features.nbytes - 1)
    assert resident.resident_features(work, features) is None
    monkeypatch.setattr(resident, "room", lambda device: features.nbytes)
    held = resident.resident_features(work, features)
    assert held is not None and torch.equal(held, features)
    monkeypatch.setattr(resident, "room", lambda device: 0)  # taken by itself
    assert resident.resident_features(work, features) is held


def test_an_autoencoder_that_encodes_on_the_fly_sees_the_mirrored_image(trained, monkeypatch):
    monkeypatch.setattr(TimmRaeAutoencoder, "cacheable", False)
    plain, flipped = batches(trained, "", "rae"), batches(trained, "flip = true", "rae")
    assert not list((trained / "runs").rglob("latents/rae*"))
    changed = [(a.tokens - b.tokens).abs().amax((1, 2)) > 0.05 for a, b in zip(plain, flipped, strict=True)]
    assert 0.25 < torch.cat(changed).float().mean() < 0.75


def test_defaults_leave_old_trainings_as_they_are_and_what_is_seen_counts(trained):
    cell = load_study(str(TINY)).cells[0]
    names = {
        training_recipe(workspace(trained, text), cell)
        for text in ("", 'latent = "sample"', "flip = true", 'latent_precision = "float16"')
    }
    assert len(names) == 4
    spelled_out = 'latent = "mode"\nflip = false\nlatent_precision = "float32"'
    assert training_recipe(workspace(trained, ""), cell) == training_recipe(workspace(trained, spelled_out), cell)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('latent = "sampled"', r"unknown value of training\.latent 'sampled'; allowed: mode, sample; did you mean"),
        ('flip = "yes"', r"training\.flip must be true or false, got 'yes'"),
        ('latent_precision = "bfloat16"', r"latent_precision 'bfloat16'; allowed: float32, float16"),
    ],
)
def test_wrong_values_are_refused(line, message, tmp_path):
    with pytest.raises(LrcoreError, match=message):
        workspace(tmp_path, line)


def test_a_shard_of_another_shape_is_refused(tmp_path):
    plan = ShardPlan(tmp_path, 4, "float32", False)
    save_tensors(plan.path(0, False), {"mean": torch.zeros(4, 16, 3)})
    first = torch.tensor([0]), torch.tensor([False])
    with pytest.raises(LrcoreError, match=r"holds torch.float32 \(4, 16, 3\), not latents of \(64, 4\): delete it"):
        LatentShards(plan, latent=LatentShape(32, (8, 8), 4))[first]
    assert LatentShards(plan, latent=LatentShape(32, (4, 4), 3))[first].mean.shape == (1, 16, 3)
