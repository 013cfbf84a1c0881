"""Our transformer against the public SiT, written out anew from the paper, on the same weights."""

import argparse
import math
import warnings

import numpy as np
import pytest
import torch
from rounding import assert_as_exact
from safetensors.torch import save_file
from torch.nn import functional as F

from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.errors import LrcoreError
from lrcore.flow.guidance import Guidance, guided
from lrcore.flow.public_checkpoints import from_public, load_public, to_public
from lrcore.flow.shapes import SHAPES, TransformerShape
from lrcore.flow.transformer import DiffusionTransformer, RepaProjector

WIDTH, DEPTH, HEADS = 64, 3, 2  # DiT-Nano
CLASSES, SIDE = 10, 8


def positions(side):
    """(side^2, WIDTH): half of the channels for the column, half for the row; sines, then cosines."""
    frequencies = 10_000.0 ** (-np.arange(WIDTH // 4) / (WIDTH / 4))
    table = np.empty((side, side, WIDTH))
    for row in range(side):
        for column in range(side):
            halves = [[np.sin(at * frequencies), np.cos(at * frequencies)] for at in (column, row)]
            table[row, column] = np.concatenate([part for half in halves for part in half])
    return torch.from_numpy(table.reshape(side**2, WIDTH)).float()


def public_state(channels, patch, learned_variance, seed=0):
    """Random weights under the public names; gates and last layer are not 0, so that everything shows."""
    random = torch.Generator().manual_seed(seed)
    out = channels * (2 if learned_variance else 1)
    shapes = {
        "x_embedder.proj": (WIDTH, channels, patch, patch),
        "t_embedder.mlp.0": (WIDTH, 256),
        "t_embedder.mlp.2": (WIDTH, WIDTH),
        "final_layer.linear": (patch * patch * out, WIDTH),
        "final_layer.adaLN_modulation.1": (2 * WIDTH, WIDTH),
    }
    for block in range(DEPTH):
        shapes |= {
            f"blocks.{block}.attn.qkv": (3 * WIDTH, WIDTH),
            f"blocks.{block}.attn.proj": (WIDTH, WIDTH),
            f"blocks.{block}.mlp.fc1": (4 * WIDTH, WIDTH),
            f"blocks.{block}.mlp.fc2": (WIDTH, 4 * WIDTH),
            f"blocks.{block}.adaLN_modulation.1": (6 * WIDTH, WIDTH),
        }
    state = {"pos_embed": positions(SIDE // patch)[None]}
    state["y_embedder.embedding_table.weight"] = torch.randn(CLASSES + 1, WIDTH, generator=random)
    for name, shape in shapes.items():
        state[f"{name}.weight"] = torch.randn(shape, generator=random) / math.prod(shape[1:]) ** 0.5
        state[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=random)
    return state


def public_sit(state, latent, t, labels, patch, after=None):
    """SiT's forward pass (arXiv 2401.08740, DiT's of arXiv 2212.09748): latent (B, C, H, W) to its output channels.

    `after`: the tokens after so many blocks, too.
    """

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def normalised(x):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()

    kernel, bias = state["x_embedder.proj.weight"], state["x_embedder.proj.bias"]
    x = F.conv2d(latent, kernel, bias, stride=patch).flatten(2).transpose(1, 2) + state["pos_embed"]
    frequencies = torch.exp(-math.log(10_000) * torch.arange(128, dtype=latent.dtype) / 128)
    waves = torch.cat([torch.cos(t[:, None] * frequencies), torch.sin(t[:, None] * frequencies)], dim=-1)
    c = linear(F.silu(linear(waves, "t_embedder.mlp.0")), "t_embedder.mlp.2")
    c = F.silu(c + state["y_embedder.embedding_table.weight"][labels])[:, None]
    hidden = None
    for number in range(DEPTH):
        name = f"blocks.{number}"
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = linear(c, f"{name}.adaLN_modulation.1").split(WIDTH, -1)
        h = linear(normalised(x) * (1 + scale_a) + shift_a, f"{name}.attn.qkv")
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in h.split(WIDTH, -1))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(WIDTH / HEADS), dim=-1)
        x = x + gate_a * linear((weights @ v).transpose(1, 2).flatten(2), f"{name}.attn.proj")
        h = linear(normalised(x) * (1 + scale_m) + shift_m, f"{name}.mlp.fc1")
        x = x + gate_m * linear(F.gelu(h, approximate="tanh"), f"{name}.mlp.fc2")
        if number + 1 == after:
            hidden = x
    shift, scale = linear(c, "final_layer.adaLN_modulation.1").split(WIDTH, -1)
    x = linear(normalised(x) * (1 + scale) + shift, "final_layer.linear")
    side = latent.shape[-1] // patch
    x = x.reshape(len(x), side, side, patch, patch, -1)
    x = torch.einsum("bhwpqc->bchpwq", x).reshape(len(x), -1, side * patch, side * patch)
    return x[:, : latent.shape[1]], hidden


def in_both(state, latent, t, labels, *more):
    """`public_sit` in float32 and in float64."""
    exact = {name: tensor.double() for name, tensor in state.items()}
    single = public_sit(state, latent, t, labels, *more)
    return zip(single, public_sit(exact, latent.double(), t.double(), labels, *more), strict=True)


def batch(channels, seed=1):
    random = torch.Generator().manual_seed(seed)
    latent = torch.randn(3, channels, SIDE, SIDE, generator=random)
    return latent, torch.tensor([0.0, 0.37, 0.99]), torch.tensor([2, 9, CLASSES])


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("learned_variance", [True, False])
@pytest.mark.parametrize("time", ["data_at_0", "data_at_1"])
def test_the_forward_pass_is_that_of_the_public_model(patch, learned_variance, time):
    state = public_state(4, patch, learned_variance)
    model = from_public(state, time)
    latent, t, labels = batch(4)
    theirs_at, sign = (t, 1) if time == "data_at_0" else (1 - t, -1)
    single, exact = next(in_both(state, latent, theirs_at, labels, patch))
    with torch.no_grad():
        tokens = model(to_tokens(latent, patch), t, labels).velocity
    found = from_tokens(tokens, patch, (SIDE // patch, SIDE // patch))
    assert exact.std() > 0.3
    assert_as_exact(found, sign * single, sign * exact)


@pytest.mark.parametrize("after", [1, 2])
def test_hidden_tokens_are_those_that_repa_projects(after):
    state = public_state(4, 2, learned_variance=False)
    latent, t, labels = batch(4)
    _, (single, exact) = in_both(state, latent, t, labels, 2, after)
    torch.manual_seed(0)
    projector = RepaProjector(WIDTH, 24, 32)
    with torch.no_grad():
        hidden = from_public(state, "data_at_0")(to_tokens(latent, 2), t, labels, hidden_after=after).hidden
        assert_as_exact(hidden, single, exact)
        found = projector(hidden)
        for number in (0, 2, 4):  # REPA: three linear layers with SiLU between
            weight, bias = projector.layers[number].weight, projector.layers[number].bias
            single, exact = single @ weight.T + bias, exact @ weight.double().T + bias.double()
            if number < 4:
                single, exact = single * torch.sigmoid(single), exact * torch.sigmoid(exact)
    assert_as_exact(found, single, exact)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_there_and_back_is_the_same_to_the_bit(patch):
    state = public_state(4, patch, learned_variance=False)
    back = to_public(from_public(state, "data_at_0"), "data_at_0", patch)
    assert back.keys() == state.keys()
    for name in state.keys() - {"pos_embed"}:
        assert torch.equal(back[name], state[name]), name
    torch.testing.assert_close(back["pos_embed"], state["pos_embed"], rtol=0, atol=1e-6)


def test_a_learned_variance_comes_back_as_zeros_and_time_can_be_mirrored():
    state = public_state(4, 2, learned_variance=True)
    back = to_public(from_public(state, "data_at_1"), "data_at_1", 2, learned_variance=True)
    latent, t, labels = batch(4)
    (single, exact), (found, _) = (next(in_both(s, latent, t, labels, 2)) for s in (state, back))
    assert_as_exact(found, single, exact)
    rows = back["final_layer.linear.weight"].unflatten(0, (2, 2, 8))
    assert (rows[:, :, 4:] == 0).all()
    assert torch.equal(rows[:, :, :4], state["final_layer.linear.weight"].unflatten(0, (2, 2, 8))[:, :, :4])


def test_positions_that_the_trainers_averaged_are_still_the_table():
    """update_ema of DiT, SiT and REPA runs over `pos_embed`, too; its rounding settles beside the table."""
    state = public_state(4, 2, learned_variance=False)
    averaged = state["pos_embed"].clone()
    for _ in range(20_000):
        averaged.mul_(0.9999).add_(state["pos_embed"], alpha=1 - 0.9999)
    assert (averaged - state["pos_embed"]).abs().max() > 1e-4
    latent, t, labels = batch(4)
    expected = public_sit(state | {"pos_embed": averaged}, latent, t, labels, 2)[0]
    with torch.no_grad():
        tokens = from_public(state | {"pos_embed": averaged}, "data_at_0")(to_tokens(latent, 2), t, labels).velocity
    torch.testing.assert_close(from_tokens(tokens, 2, (SIDE // 2, SIDE // 2)), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_type_become_float32(dtype):
    state = {name: tensor.to(dtype) for name, tensor in public_state(4, 2, learned_variance=True).items()}
    found = from_public(state, "data_at_0").state_dict()
    assert all(tensor.dtype == torch.float32 for tensor in found.values())
    assert torch.equal(found["blocks.1.attn.qkv.weight"], state["blocks.1.attn.qkv.weight"].float())


@pytest.mark.parametrize("name", ["safetensors", "ema.pt", "plain.pt"])
def test_files_of_public_trainers_are_read(name, tmp_path):
    state = public_state(4, 2, learned_variance=True)
    path = tmp_path / name
    if name == "safetensors":
        path = tmp_path / "model.safetensors"
        save_file(state, path)
    elif name == "ema.pt":
        noise = {key: torch.zeros_like(value) for key, value in state.items()}
        ema = {f"module.{key}": value for key, value in state.items()}
        arguments = argparse.Namespace(model="SiT-XL/2", global_batch_size=256, cfg_scale=4.0, ckpt=None)
        torch.save({"model": noise, "ema": ema, "opt": {"step": 3}, "args": arguments, "steps": 3}, path)
    else:
        torch.save(state | {"projectors.0.0.weight": torch.zeros(2, 2)}, path)
    found, expected = load_public(path, "data_at_1").state_dict(), from_public(state, "data_at_1").state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def changed(key, value):
    state = public_state(4, 2, learned_variance=True)
    if value is None:
        del state[key]
    else:
        state[key] = value
    return state


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pos_embed", None, "not a checkpoint of SiT or DiT: pos_embed missing"),
        ("pos_embed", torch.zeros(1, 16, WIDTH), "pos_embed is not the sine-cosine table"),
        ("pos_embed", torch.zeros(1, 15, WIDTH), "15 positions are no square grid"),
        ("blocks.1.mlp.fc1.bias", None, r"another architecture: missing \['blocks.1.mlp.fc1.bias'\]"),
        ("blocks.1.attn.q_norm.weight", torch.ones(32), r"unexpected \['blocks.1.attn.q_norm.weight'\]"),
        ("blocks.1.mlp.fc1.bias", torch.zeros(7), r"'blocks.1.mlp.fc1.bias' has shape \(7,\), not \(256,\)"),
        ("pos_embed", positions(4)[None] + 0.02, "pos_embed is not the sine-cosine table"),
        ("pos_embed", positions(4), r"'pos_embed' has shape \(16, 64\), not one of 3 axes"),
        ("pos_embed", positions(4).unflatten(0, (4, 4)).transpose(0, 1).reshape(1, 16, WIDTH), "not the sine-cosine"),
        ("x_embedder.proj.weight", torch.zeros(WIDTH, 4, 2, 1), r"has shape \(64, 4, 2, 1\), not \(64, 4, 2, 2\)"),
        ("x_embedder.proj.weight", torch.zeros(WIDTH, 4, 0, 0), "not one of 4 axes"),
        ("x_embedder.proj.bias", None, r"another architecture: missing \['x_embedder.proj.bias'\]"),
        ("y_embedder.embedding_table.weight", torch.tensor(1.0), r"has shape \(\), not one of 2 axes"),
        ("final_layer.linear.weight", torch.zeros(12, WIDTH), r"has shape \(12, 64\), not \(16, 64\)"),
        ("final_layer.linear.bias", torch.zeros(16), r"'final_layer.linear.bias' has shape \(16,\), not \(32,\)"),
        ("t_embedder.mlp.0.weight", None, r"missing \['t_embedder.mlp.0.weight'\]"),
        ("t_embedder.mlp.0.weight", torch.zeros(WIDTH, 128), r"has shape \(64, 128\), not \(64, 256\)"),
        ("blocks.3.attn.qkv.weight", torch.zeros(1), "no known size has width 64 and 4 blocks; allowed: DiT-S"),
    ],
)
def test_what_does_not_fit_is_named(key, value, message):
    with pytest.raises(LrcoreError, match=message):
        from_public(changed(key, value), "data_at_1")


TABLE = "y_embedder.embedding_table.weight"


def without_label_dropout():
    state = public_state(4, 2, learned_variance=True)
    return state | {TABLE: state[TABLE][:CLASSES]}


def test_a_model_without_label_dropout_keeps_all_its_classes():
    """SiT's `class_dropout_prob=0`: as many rows in the label table as classes."""
    state = without_label_dropout()
    latent, t, _ = batch(4)
    labels = torch.tensor([0, 5, CLASSES - 1])
    model = from_public(state, "data_at_0", classes=CLASSES)
    assert (model.classes, model.label_dropout) == (CLASSES, False)
    single, exact = next(in_both(state, latent, t, labels, 2))
    with torch.no_grad():
        tokens = model(to_tokens(latent, 2), t, labels).velocity
    assert_as_exact(from_tokens(tokens, 2, (SIDE // 2, SIDE // 2)), single, exact)
    back = to_public(model, "data_at_0", 2, learned_variance=True)
    assert torch.equal(back[TABLE], state[TABLE])
    velocity = guided(model, labels, Guidance(2.0))
    with pytest.raises(LrcoreError, match=r"trained without label dropout .* its labels are 0 to 9"):
        velocity(to_tokens(latent, 2), torch.full((3,), 0.5))


def test_classes_say_whether_the_last_row_means_none_and_their_absence_is_stated():
    state = public_state(4, 2, learned_variance=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = from_public(state, "data_at_0", classes=CLASSES)
    assert (model.classes, model.label_dropout) == (CLASSES, True)
    assert not from_public(state, "data_at_0", classes=CLASSES + 1).label_dropout
    with pytest.warns(UserWarning, match="11 rows: the last is taken for 'no class', which leaves 10 classes"):
        assert from_public(state, "data_at_0").classes == CLASSES
    for wrong in (CLASSES - 1, CLASSES + 2, 0, -1, True, "ten"):
        with pytest.raises(LrcoreError, match=f"classes={wrong!r} does not fit .* 11 rows; allowed: 10 .*, 11"):
            from_public(state, "data_at_0", classes=wrong)


@pytest.mark.parametrize("arguments", [argparse.Namespace(num_classes=CLASSES), {"num_classes": CLASSES}])
def test_the_trainers_arguments_say_how_many_classes_there_are(arguments, tmp_path):
    torch.save({"ema": without_label_dropout(), "args": arguments}, tmp_path / "model.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_public(tmp_path / "model.pt", "data_at_0")
    assert (model.classes, model.label_dropout) == (CLASSES, False)


GOOD = public_state(4, 2, learned_variance=True)


def renamed(rule):
    return {rule(name): tensor for name, tensor in GOOD.items()}


@pytest.mark.parametrize(
    "content",
    [
        renamed("_orig_mod.{}".format),
        renamed("model.{}".format),
        {"model": renamed("module._orig_mod.{}".format)},
        {"ema": renamed("_orig_mod.module.model.{}".format)},
        renamed(lambda name: name.replace("blocks.1.", "blocks.1._orig_mod.")),
        {"ema": {}, "model": GOOD},
        {"ema": None, "model": GOOD},
        {"ema": {"decay": torch.tensor(0.9)}, "model": GOOD, "opt": {}},
        {"ema": {name.replace(".", ""): tensor for name, tensor in GOOD.items() if "." in name}, "model": GOOD},
        {"state_dict": {"ema": {}, "model": renamed("module.{}".format)}},
        {"model": {"ema": GOOD, "model": {name: 0 * tensor for name, tensor in GOOD.items()}}},
    ],
)
def test_prefixes_and_wrappers_are_seen_through(content, tmp_path):
    torch.save(content, tmp_path / "model.pt")
    found = load_public(tmp_path / "model.pt", "data_at_1", CLASSES).state_dict()
    expected = from_public(GOOD, "data_at_1", CLASSES).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_weights_that_stand_in_for_the_average_are_said_to(tmp_path):
    torch.save({"ema": {"decay": torch.tensor(0.9)}, "model": GOOD}, tmp_path / "model.pt")
    with pytest.warns(UserWarning, match="'ema' holds no weights of the model .found 'decay'.: those of 'model' are"):
        load_public(tmp_path / "model.pt", "data_at_1", CLASSES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "found no names at all"),
        ({"ema": {}, "model": {}}, "found 'ema', 'model'; under 'ema' no names at all; under 'model' no names at all"),
        ([GOOD], "neither at the top nor under .*; found a list"),
        ({"weights": GOOD}, "no state dict of tensors.*; found 'weights'"),
        ({3: torch.zeros(2)}, "not a checkpoint of SiT or DiT: .* missing; found '3'"),
        (renamed("net.{}".format), "missing; found 'net.pos_embed', 'net.y_embedder.embedding_table.weight', .* more"),
        (GOOD | renamed("module.{}".format), "several tensors are called 'pos_embed' once prefixes are left out"),
        ({"ema": GOOD | {"pos_embed": "none"}}, "'pos_embed' is a str, not a tensor; found 'pos_embed', 'y_emb"),
        (
            GOOD | {"final_layer.linear.bias": torch.full((32,), torch.nan)},
            "NaN or infinite: 'final_layer.linear.bias'",
        ),
        (GOOD | {"pos_embed": GOOD["pos_embed"] / 0}, "must be finite in float32, NaN or infinite: 'pos_embed'"),
        (GOOD | {TABLE: GOOD[TABLE].double() * 1e200}, f"must be finite in float32, .*'{TABLE}'"),
        (renamed(str) | {TABLE: GOOD[TABLE].long()}, rf"must be floating-point numbers: '{TABLE} .torch.int64.'"),
        ({name: tensor.to(torch.int8) for name, tensor in GOOD.items()}, "floating-point numbers: .* and 39 more"),
        (GOOD | {TABLE: GOOD[TABLE].to(torch.complex64)}, "complex64"),
    ],
)
def test_weights_that_cannot_be_used_are_shown_by_name(content, message, tmp_path):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(LrcoreError, match=message):
        load_public(tmp_path / "model.pt", "data_at_1", CLASSES)


def test_bad_arguments_and_files_are_named(tmp_path):
    state = public_state(4, 2, learned_variance=False)
    with pytest.raises(LrcoreError, match="unknown time 'data_at_2'; allowed: data_at_0, data_at_1"):
        from_public(state, "data_at_2")
    with pytest.raises(LrcoreError, match="tokens of 16 channels are no patches of 3 x 3"):
        to_public(from_public(state, "data_at_0"), "data_at_0", 3)
    with pytest.raises(LrcoreError, match="a grid of 2 x 8 tokens is not square"):
        to_public(DiffusionTransformer(SHAPES["DiT-Nano"], 16, (2, 8), CLASSES), "data_at_0", 2)
    with pytest.raises(LrcoreError, match="has a linear skip"):
        to_public(DiffusionTransformer(SHAPES["DiT-Nano"], 16, (4, 4), CLASSES, skip=True), "data_at_0", 2)
    with pytest.raises(LrcoreError, match=r"no checkpoint at '.*absent[.]pt'"):
        load_public(tmp_path / "absent.pt", "data_at_0")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(LrcoreError, match=r"cut\.safetensors' is no readable checkpoint"):
        load_public(tmp_path / "cut.safetensors", "data_at_0")
    (tmp_path / "text.pt").write_bytes(b"hello")
    with pytest.raises(LrcoreError, match=r"text\.pt' is no readable checkpoint"):
        load_public(tmp_path / "text.pt", "data_at_0")
    torch.save({"steps": 3}, tmp_path / "other.pt")
    with pytest.raises(LrcoreError, match=r"other.pt': no state dict of tensors, neither at the top nor under ema"):
        load_public(tmp_path / "other.pt", "data_at_0")
    torch.save({"ema": state, "args": Surprise()}, tmp_path / "code.pt")
    with pytest.raises(LrcoreError, match=r"code\.pt' holds more than tensors and plain values, or"):
        load_public(tmp_path / "code.pt", "data_at_0")


class Surprise:
    """An object of the trainer that pickled it, such as its parsed arguments."""


def counted(width, depth, patch, classes, out_channels, channels=4):
    """Parameters of the published architecture, term by term."""
    block = 3 * width * (width + 1) + width * (width + 1)  # attention: q, k, v and the projection
    block += 4 * width * (width + 1) + width * (4 * width + 1)  # MLP
    block += 6 * width * (width + 1)  # adaLN
    embedders = width * (channels * patch**2 + 1)
    embedders += width * (256 + 1) + width * (width + 1)
    embedders += (classes + 1) * width
    final = 2 * width * (width + 1) + patch**2 * out_channels * (width + 1)
    return depth * block + embedders + final


PUBLISHED = [("S", 12, 384, 6, 33), ("B", 12, 768, 12, 130), ("L", 24, 1024, 16, 458), ("XL", 28, 1152, 16, 675)]
"""DiT (arXiv 2212.09748), table 1 and the appendix: layers, width, heads, millions of parameters at patch 2."""


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize(("name", "depth", "width", "heads", "millions"), PUBLISHED)
def test_sizes_and_parameter_counts_are_the_published_ones(name, depth, width, heads, millions, patch):
    assert SHAPES[f"DiT-{name}"] == TransformerShape(width, depth, heads)
    with torch.device("meta"):
        model = DiffusionTransformer(SHAPES[f"DiT-{name}"], 4 * patch**2, (32 // patch, 32 // patch), 1000)
        exported = to_public(model, "data_at_0", patch, learned_variance=True)
    ours = sum(parameter.numel() for parameter in model.parameters())
    with_variance = sum(tensor.numel() for name, tensor in exported.items() if name != "pos_embed")
    assert ours == counted(width, depth, patch, 1000, out_channels=4)
    assert with_variance == counted(width, depth, patch, 1000, out_channels=8)
    if patch == 2:
        assert with_variance / 1e6 == pytest.approx(millions, abs=0.6)
