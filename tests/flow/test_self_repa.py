"""REPA towards itself: what its target is, and that such a training stops, resumes and stacks like any other."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lrcore.errors import LrcoreError
from lrcore.executors.torchrun import run_together
from lrcore.flow.objective import Batch, FlowMatching, draw, own_features, self_losses
from lrcore.flow.shapes import SHAPES
from lrcore.flow.timesteps import density
from lrcore.flow.transformer import DiffusionTransformer, RepaProjector
from lrcore.runtime.distributed import World
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.runtime.seeds import generator
from lrcore.stages import training
from lrcore.stages.beforehand import assets_of
from lrcore.stages.engine import Job
from lrcore.stages.todo import Todo
from lrcore.stages.training import ensure_trained, snapshot_path, state_path, training_recipe
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study
from lrcore.training.checkpoints import TrainingState

DENSITIES = (density("ln", 1.0), density("ts", 2.95))
TINY = Path(__file__).parents[1] / "tiny.toml"
STUDY = f"""
extends = "{TINY}"
[autoencoders.pixels]
family = "patches"
patch = 4
[training]
self_block = 3
[[grid]]
ae = ["pixels"]
trainp = ["ln", "ts"]
trainshift = [1.0]
repa = ["none", "self"]
"""


def objective(seed=0):
    torch.manual_seed(seed)
    model = FlowMatching(DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), 10), RepaProjector(64, 64, 32), 2, 0.2)
    for parameter in model.transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def batch(images=64):
    return Batch(torch.randn(images, 4, 8, generator=generator("batch")), torch.arange(images) % 10)


def drawn(data, source, world=World()):  # noqa: B008
    return draw(data, DENSITIES, 10, 0.3, source, world)


def target(model, found, gap, source, world=World()):  # noqa: B008
    return own_features(model, found, 3, gap, len(DENSITIES), source, world)


class Seen(FlowMatching):
    """Keeps what its transformer is asked."""

    def __init__(self, model):
        super().__init__(model.transformer)
        self.given = []
        hidden = self.transformer.hidden
        self.transformer.hidden = lambda *given, **named: (self.given.append(given), hidden(*given, **named))[1]


def test_its_target_sees_the_same_images_noise_and_labels_at_less_noise():
    source, model = generator("s"), Seen(objective())
    data = batch(2000)
    found = drawn(data, source)
    features = target(model, found, 0.2, source)
    ((noisy, t, labels),) = model.given
    assert torch.equal(labels, found.labels) and features.shape == (4000, 4, 64)
    back = found.t - t
    assert (back >= 0).all() and (back <= 0.2 + 1e-6).all() and (t >= 0).all()
    clear = found.t > 0.2
    assert back[clear].mean().item() == pytest.approx(0.1, abs=0.005)
    # both trainings of the stack step back by the same
    first, second = back.view(2, -1)[:, clear.view(2, -1).all(0)]
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)
    # where the model is told that they are, on the line between image and noise
    images = data.tokens.repeat(2, 1, 1)
    noise = found.target + images
    expected = (1 - t[:, None, None]) * images + t[:, None, None] * noise
    torch.testing.assert_close(noisy, expected, rtol=1e-5, atol=1e-5)


def test_without_a_gap_it_is_the_deeper_block_on_the_same_input_and_has_no_gradient():
    source, model = generator("s"), objective()
    found = drawn(batch(), source)
    features = target(model, found, 0.0, source)
    deeper = model.transformer(found.noisy, found.t, found.labels, hidden_after=3).hidden
    assert torch.equal(features, deeper)
    assert not features.requires_grad and deeper.requires_grad
    features = target(model, found, 0.2, source)
    losses = FlowMatching(model.transformer, model.projector, 2, 1.0, repa_loss=self_losses)(
        found._replace(features=features)
    )
    (losses.objective - losses.velocity).mean().backward()
    for number, trained in enumerate((True, True, False)):
        gradient = model.transformer.blocks[number].mlp.fc1.weight.grad
        assert bool(gradient.any()) == trained


def test_the_shares_of_several_processes_make_up_the_target():
    source, model, data = generator("s"), objective(), batch()
    whole = target(model, drawn(data, source), 0.2, source).view(2, 64, 4, 64)
    for rank in range(2):
        source, world = generator("s"), World(rank, 2)
        share = Batch(data.tokens.chunk(2)[rank], data.labels.chunk(2)[rank])
        part = target(model, drawn(share, source, world), 0.2, source, world)
        torch.testing.assert_close(part.view(2, 32, 4, 64), whole.chunk(2, dim=1)[rank], rtol=1e-4, atol=1e-5)


def test_the_loss_is_quadratic_near_and_linear_far():
    found, zero = torch.tensor([[[0.02]], [[0.05]], [[3.0]]]), torch.zeros(3, 1, 1)
    assert self_losses(found, zero).tolist() == pytest.approx([0.02**2 / 0.1, 0.025, 3 - 0.025])
    assert self_losses(torch.ones(2, 4, 8), torch.zeros(2, 4, 8)).tolist() == pytest.approx([0.975, 0.975])


def test_the_target_can_be_learned():
    """The distance to a fixed target falls: projector and the blocks before it follow it."""
    model = FlowMatching(objective().transformer, RepaProjector(64, 64, 32), 2, 1.0, repa_loss=self_losses)
    source = generator("s")
    found = drawn(batch(), source)
    found = found._replace(features=target(objective(1), found, 0.2, source))
    state = TrainingState.start(model, 3e-3, 0.9)
    distances = []
    for _ in range(60):
        losses = state.model(found)
        state.advance(losses.objective.mean())
        distances.append((losses.objective - losses.velocity).mean().item())
    assert distances[-1] < 0.7 * distances[0]


# ------------------------------------------------------------------------------------------------- whole trainings


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "own.toml"
    path.write_text(STUDY)
    return load_study(str(path))


def workspace(study, folder, **more):
    folders = Folders(folder / "data", folder / "imgs", folder / "runs")
    return Workspace(study, folders, StopRequest(), lambda steps: None, **more)


def own(study):
    return [cell for cell in study.cells if cell.repa == "self"]


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    """Both trainings one by one, to the end."""
    work = workspace(study, tmp_path_factory.mktemp("undisturbed"))
    for cell in own(study):
        ensure_trained(work, [cell], 6)
    return work


def weights(work, cell):
    return load_file(snapshot_path(work, cell, 6))


def test_it_is_another_training_than_without(study, undisturbed, tmp_path):
    cell = own(study)[0]
    plain, further = replace(cell, repa="none"), workspace(study_with(study, self_gap=1.0), tmp_path)
    ensure_trained(undisturbed, [plain], 6)
    ensure_trained(further, [cell], 6)
    name = "blocks.1.mlp.fc1.weight"
    found = weights(undisturbed, cell)[name]
    assert not torch.equal(found, weights(undisturbed, plain)[name])
    assert not torch.equal(found, weights(further, cell)[name])


def test_its_target_is_the_averaged_model(study, tmp_path, monkeypatch):
    averages = []

    def kept(averaged, *given):
        averages.append((averaged, {name: weight.clone() for name, weight in averaged.state_dict().items()}))
        return own_features(averaged, *given)

    states = []
    start = TrainingState.start
    monkeypatch.setattr(training, "own_features", kept)
    monkeypatch.setattr(TrainingState, "start", lambda *given: (states.append(start(*given)), states[-1])[1])
    ensure_trained(workspace(study, tmp_path), own(study)[:1], 3)
    (state,) = states
    assert [averaged for averaged, _ in averages] == [state.averaged] * 3
    name = "transformer.blocks.1.mlp.fc1.weight"
    _, before, last = (seen[name] for _, seen in averages)
    assert not torch.equal(before, last)
    assert not torch.equal(last, state.model.state_dict()[name])
    assert all(parameter.grad is None for parameter in state.averaged.parameters())


def test_stopped_and_resumed_it_ends_with_the_same_bits(study, undisturbed, tmp_path):
    work, cell = workspace(study, tmp_path), own(study)[0]
    steps = []

    def on_steps(count):
        steps.append(count)
        if len(steps) == 4:  # between two checkpoints
            work.stop.reason = "asked to"

    work.on_steps = on_steps
    with pytest.raises(StudyInterrupted):
        ensure_trained(work, [cell], 6)
    assert state_path(work, cell).exists() and not snapshot_path(work, cell, 6).exists()
    again = workspace(study, tmp_path)
    ensure_trained(again, [cell], 6)
    expected = weights(undisturbed, cell)
    assert all(torch.equal(weight, expected[name]) for name, weight in weights(again, cell).items())


def test_a_stack_trains_each_to_what_it_is_alone(study, undisturbed, tmp_path):
    work = workspace(study, tmp_path, stack=2)
    ensure_trained(work, own(study), 6)
    for cell in own(study):
        expected = weights(undisturbed, cell)
        for name, weight in weights(work, cell).items():
            # six steps of AdamW at 1e-3: where a gradient is rounding alone, its sign may differ
            torch.testing.assert_close(weight, expected[name], rtol=1e-2, atol=5e-4, msg=lambda m, name=name: name + m)


def study_with(study, **training):
    return replace(study, training=replace(study.training, **training))


def test_its_keys_change_its_own_recipe_alone(study, tmp_path):
    work = workspace(study, tmp_path)
    plain, cell = (next(cell for cell in study.cells if cell.repa == repa) for repa in ("none", "self"))
    for keys in ({"self_gap": 0.1}, {"self_weight": 0.5}, {"self_block": 0}):
        other = workspace(study_with(study, **keys), tmp_path)
        assert training_recipe(other, plain) == training_recipe(work, plain)
        assert training_recipe(other, cell) != training_recipe(work, cell)


def test_no_encoder_is_fetched_for_it(study):
    # of whose networks the encoder is needed for REPA alone
    alone = replace(study, autoencoders={"pixels": study.autoencoders["pixels"]})
    alone = replace(alone, evaluation=replace(study.evaluation, feature_network="inception2015"))
    cell, encoder = own(study)[0], study.encoder.name
    for repa, fetched in (("none", False), ("self", False), (encoder, True)):
        todo = Todo([], [], [], [], [replace(cell, repa=repa)], [], [])
        assert (encoder in assets_of(alone, todo)) == fetched


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("self_block = 0", "self_block must be above training.repa_block, 2, and at most 3 .* 'self', got 0"),
        ("self_block = 2", "self_block must be above training.repa_block, 2, .*, got 2"),
        ("self_block = 4", "self_block must be .* at most 3 for DiT-Micro .*, got 4"),
        ("self_block = 3\nself_gap = 1.5", "training.self_gap must be from 0 to 1, got 1.5"),
        ("self_block = 3\nself_weight = -1.0", "training.self_weight must be a number from 0, got -1.0"),
    ],
)
def test_keys_out_of_range_are_named(line, message, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(STUDY.replace("self_block = 3", line))
    with pytest.raises(LrcoreError, match=message):
        load_study(str(path))


def test_divided_weights_are_refused_before_any_work(study, tmp_path):
    job = Job(
        study, Folders(tmp_path, tmp_path, tmp_path), torch.device("cpu"), ["generation"], ["pixels"], study.cells
    )
    with pytest.raises(LrcoreError, match=r"--shard cannot train 'pixels-self-ln-1\.00"):
        run_together(World(size=2, sharded=True), job, StopRequest())
