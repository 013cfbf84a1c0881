"""Linear layers through oneDNN give what PyTorch's own give."""

import pytest
import torch
from torch import nn

from lrcore.flow.linear import FEWEST, Linear
from lrcore.runtime import matrix_products


@pytest.fixture
def through_onednn(monkeypatch):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(matrix_products, "ONEDNN_IS_FASTER", True)


def both(inputs, outputs, bias=True):
    torch.manual_seed(0)
    plain = nn.Linear(inputs, outputs, bias)
    ours = Linear(inputs, outputs, bias)
    ours.load_state_dict(plain.state_dict())
    return plain, ours


def results(layer, tokens):
    """The output, and the gradients of a sum that tells its numbers apart."""
    tokens = tokens.detach().requires_grad_()
    out = layer(tokens)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    wanted = [tokens, *layer.parameters()]
    return [out, *torch.autograd.grad((out * weights).sum(), wanted)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("shape", "outputs"), [((8, 16, 48), 32), ((1, 64, 7), 5), ((64, 1, 128), 384)])
def test_output_and_gradients_are_those_of_the_plain_layer(through_onednn, shape, outputs, bias):
    torch.manual_seed(1)
    tokens = torch.randn(shape)
    plain, ours = both(shape[-1], outputs, bias)
    for expected, found in zip(results(plain, tokens), results(ours, tokens), strict=True):
        assert found.shape == expected.shape and found.is_contiguous()
        # sums of as many products as the longest of the three has
        bound = 4 * torch.finfo(torch.float32).eps * max(shape[-1], outputs, shape[0] * shape[1])
        torch.testing.assert_close(found, expected, rtol=bound, atol=bound * expected.abs().max().item())


def test_tokens_may_lie_in_memory_as_they_like(through_onednn):
    torch.manual_seed(1)
    plain, ours = both(16, 24)
    tokens = torch.randn(16, 12, 16).transpose(0, 1)
    torch.testing.assert_close(ours(tokens), plain(tokens))
    torch.testing.assert_close(ours(torch.randn(9, 1, 16).expand(9, 12, 16)).shape, torch.Size([9, 12, 24]))


@pytest.mark.parametrize("shape", [(1, FEWEST - 1, 16), (100, 16), (2, 3, 40, 16)])
def test_few_tokens_and_other_shapes_go_the_plain_way(through_onednn, shape):
    plain, ours = both(16, 24)
    tokens = torch.randn(shape)
    assert torch.equal(ours(tokens), plain(tokens))


def test_other_formats_go_the_plain_way(through_onednn):
    plain, ours = both(16, 24)
    tokens = torch.randn(4, 64, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(tokens).dtype == torch.bfloat16 and torch.equal(ours(tokens), plain(tokens))
    assert torch.equal(ours.double()(tokens.double()), plain.double()(tokens.double()))


def test_where_it_is_not_faster_nothing_is_another(monkeypatch):
    monkeypatch.setattr(matrix_products, "ONEDNN_IS_FASTER", False)
    plain, ours = both(16, 24)
    tokens = torch.randn(4, 64, 16)
    assert all(torch.equal(a, b) for a, b in zip(results(plain, tokens), results(ours, tokens), strict=True))
