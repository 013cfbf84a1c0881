"""Stacked trainings: each does what it does alone."""

from dataclasses import replace

import pandas
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lrcore.errors import LrcoreError
from lrcore.flow.objective import Batch, FlowMatching, draw
from lrcore.flow.shapes import SHAPES
from lrcore.flow.stacking import StackedLinear, of_network, of_stack, stack
from lrcore.flow.timesteps import density
from lrcore.flow.transformer import DiffusionTransformer, RepaProjector
from lrcore.records.reading import read_generation
from lrcore.records.schema import GENERATION_KEY
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.seeds import generator
from lrcore.spec.study import Cell
from lrcore.stages.generation import run_cells, stacks
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study
from lrcore.training.checkpoints import TrainingState

DENSITIES = [density("ln", 1.0), density("pln", 2.95), density("ts", 6.93)]


def test_compiled_the_bias_is_a_sum_that_can_be_fused(monkeypatch):
    torch.manual_seed(0)
    layer, rows, names = StackedLinear([nn.Linear(6, 5) for _ in range(3)]), torch.randn(3 * 4, 7, 6), set()
    nn.init.normal_(layer.bias)
    expected = layer(rows)

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            names.add(function.__name__.split(".")[0])
            return function(*args, **(kwargs or {}))

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    with Names():
        found = layer(rows)
    assert {"bmm", "add"} <= names and "baddbmm" not in names
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # sums of 7 products of size 1 in float32


def objective(seed):
    """Weights of its own for every run, gates included: a mixed-up run must show."""
    torch.manual_seed(seed)
    model, projector = DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), 10), RepaProjector(64, 16, 32)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return FlowMatching(model, projector, 2, 0.5).double()  # so that what differs is not rounding


def drawn(step, densities):
    source = generator("data", step)
    tokens, features = torch.randn(6, 4, 8, generator=source), torch.randn(6, 4, 16, generator=source)
    batch = Batch(tokens, torch.arange(6), features)
    found = draw(batch, densities, 10, 0.3, generator("draw", step))
    return found._replace(noisy=found.noisy.double(), target=found.target.double(), features=found.features.double())


def trained(model, densities, steps=4):
    state = TrainingState.start(model, 1e-3, 0.9)
    losses = []
    for step in range(steps):
        found = state.model(drawn(step, densities)).objective.unflatten(0, (len(densities), -1)).mean(1)
        state.advance(found.sum())
        losses.append(found.detach())
    return state, torch.stack(losses)


def same(found, expected):
    """Losses are float32, and with them the gradients that go into the network: 2^-23 of Adam's few steps of 1e-3."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_stack_trains_every_run_to_what_it_is_alone():
    together, losses = trained(stack([objective(seed) for seed in range(3)]), DENSITIES)
    for number, p in enumerate(DENSITIES):
        alone, alone_losses = trained(objective(number), [p])
        torch.testing.assert_close(losses[:, number], alone_losses[:, 0], rtol=1e-6, atol=0)
        for held, single in ((together.model, alone.model), (together.averaged, alone.averaged)):
            part = of_network(held.state_dict(), number)
            for name, weight in single.state_dict().items():
                same(part[name], weight)


def test_a_run_that_diverges_leaves_the_others_of_its_stack_alone():
    broken = objective(1)
    broken.transformer.final_layer.linear.bias.data.fill_(torch.inf)
    _, losses = trained(stack([objective(0), broken, objective(2)]), DENSITIES)
    assert not torch.isfinite(losses[:, 1]).any()
    for number in (0, 2):
        _, alone = trained(objective(number), [DENSITIES[number]])
        torch.testing.assert_close(losses[:, number], alone[:, 0], rtol=1e-6, atol=0)


def test_the_runs_of_a_stack_are_saved_apart_and_go_on_alone_or_together(tmp_path):
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    state, _ = trained(stack([objective(seed) for seed in range(3)]), DENSITIES)
    state.save(paths)
    again = TrainingState.start(stack([objective(9) for _ in range(3)]), 1e-3, 0.9)
    again.restore(paths)
    alone = TrainingState.start(objective(9), 1e-3, 0.9)
    alone.restore(paths[1:2])
    assert again.step == alone.step == state.step
    for name, weight in state.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight)
        assert torch.equal(alone.model.state_dict()[name], weight[1])
    one, three = drawn(4, DENSITIES[1:2]), drawn(4, DENSITIES)
    alone.advance(alone.model(one).objective.mean())
    again.advance(again.model(three).objective.unflatten(0, (3, -1)).mean(1).sum())
    for name, weight in alone.averaged.state_dict().items():
        same(again.averaged.state_dict()[name][1], weight)

    trained(objective(0), DENSITIES[:1], steps=2)[0].save(paths[:1])
    with pytest.raises(LrcoreError, match="different steps"):
        again.restore(paths)


def test_one_network_is_not_stacked_and_unknown_weights_are_refused():
    model = objective(0)
    assert stack([model]) is model
    with pytest.raises(TypeError, match="LayerNorm has weights"):
        stack([nn.LayerNorm(4), nn.LayerNorm(4)])


def test_parts_make_up_the_stack():
    whole = {"a": torch.randn(3, 2), "step": torch.tensor(4.0)}
    again = of_stack([of_network(whole, number) for number in range(3)])
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


GRID = """
extends = "{tiny}"
[data]
train_images = 64
[autoencoders.pca]
family = "patches"
patch = 4
coefficients = 16
[evaluation]
sampleshifts = [4.63]
[[grid]]
ae = ["pca"]
trainp = ["ln", "ts"]
trainshift = [1.0]
repa = ["none", "efficientnet_lite0"]
[[grid]]
ae = ["pca"]
trainp = ["ln"]
trainshift = [1.0]
repa = ["none"]
train_seed = [17]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory, request):
    path = tmp_path_factory.mktemp("study") / "stacked.toml"
    path.write_text(GRID.format(tiny=request.path.parents[1] / "tiny.toml"))
    return load_study(str(path))


def rows_of(study, folder, size):
    work = Workspace(
        study, Folders(folder / "data", folder / "imgs", folder / "runs"), StopRequest(), lambda n: None, stack=size
    )
    for group in stacks(work, study.cells):
        run_cells(work, group)
    return read_generation(folder / "data").sort_values(list(GENERATION_KEY))


def test_groups_share_autoencoder_seed_and_repa_and_keep_the_order_of_the_grid(study, tmp_path):
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), StopRequest(), lambda n: None, stack=3)
    a, b, c = (Cell("flux2", "none", "ln", shift) for shift in (1.0, 2.0, 3.0))
    d, e = (Cell("flux2", "none", "ts", shift) for shift in (1.0, 2.0))
    x, y = Cell("flux2", "net", "ln", 1.0), Cell("rae", "none", "ln", 1.0)
    z = Cell("flux2", "none", "ln", 1.0, train_seed=1)
    assert stacks(work, [a, x, b, y, c, d, z, e]) == [[a, b, c], [x], [y], [d, e], [z]]
    others = [
        replace(a, width=96),
        replace(a, skip="linear"),
        replace(a, width=96, skip="linear"),
        replace(x, repa="self"),
    ]
    assert stacks(work, [a, x, *others]) == [[cell] for cell in (a, x, *others)]


def test_a_study_gives_the_same_rows_stacked_as_one_by_one(study, tmp_path):
    one_by_one = rows_of(study, tmp_path / "alone", 1)
    (tmp_path / "together").mkdir()
    (tmp_path / "alone" / "runs" / study.name / "autoencoders").rename(tmp_path / "autoencoders")
    target = tmp_path / "together" / "runs" / study.name
    target.mkdir(parents=True)
    (tmp_path / "autoencoders").rename(target / "autoencoders")
    together = rows_of(study, tmp_path / "together", 2)
    assert len(one_by_one) == 5 * 2  # trainings, steps
    assert (one_by_one.train_seed == 17).sum() == 2
    assert together.numerical_path.str.contains("stack of 2").sum() == 4 * 2  # all but the other seed's
    scores, cosines = ["fid", "kid", "reconstruction_fid", "reconstruction_kid"], ["straightness", "efficiency"]
    exact_one_by_one, exact_together = (
        rows.drop(columns=[*scores, *cosines, "numerical_path"]).reset_index(drop=True)
        for rows in (one_by_one, together)
    )
    pandas.testing.assert_frame_equal(exact_one_by_one, exact_together)
    for name in scores:
        assert together[name].to_numpy() == pytest.approx(one_by_one[name].to_numpy(), rel=5e-3)
    for name in cosines:  # which are near 0 where nothing has been learned
        assert together[name].to_numpy() == pytest.approx(one_by_one[name].to_numpy(), abs=1e-3)
    assert one_by_one.fid.nunique() == len(one_by_one)
