"""VIV, neighbour consistency, spectral energy and great circles, on latents whose answer is known."""

import math

import pytest
import scipy.fft
import torch

from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.errors import LrcoreError
from lrcore.metrics import interpolation
from lrcore.metrics.interpolation import great_circle_latents
from lrcore.metrics.latents import LatentSample, diagnose, latent_pixels, predict
from lrcore.metrics.neighbours import neighbour_consistency
from lrcore.metrics.spectral_energy import spectral_energy
from lrcore.metrics.velocity_variance import velocity_variance


def white(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ------------------------------------------------------------------------------------------------------------- VIV


def test_white_latents_have_half_a_pi():
    found = velocity_variance(white(4000, 4, 3), torch.arange(4000) % 2)
    assert found.viv.value.item() == pytest.approx(math.pi / 2, rel=0.01)
    assert found.within_class.value.item() == pytest.approx(1, rel=0.01)
    assert found.scaled.value.item() == pytest.approx(found.viv.value.item() * math.sqrt(12))


def test_it_is_that_of_a_kronecker_product_and_knows_the_class():
    """Positions of variances 4 and 1, channels standardised, and means of classes that take half of the variance."""
    labels = torch.arange(8000) % 2
    spatial = torch.tensor([4.0, 1.0], dtype=torch.float64)
    tokens = white(8000, 2, 3) * spatial.sqrt()[:, None]  # a mean variance of 2.5 within classes
    shifted = tokens + math.sqrt(2.5) * (2 * labels.double() - 1)[:, None, None]  # and as much between them
    found = velocity_variance(shifted * torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64), labels)
    expected = math.pi / 2 * (spatial / 5).sqrt().mean().item()
    assert found.viv.value.item() == pytest.approx(expected, rel=0.01)
    assert found.within_class.value.item() == pytest.approx(0.5, rel=0.02)
    assert abs(found.viv.value.item() - expected) < 4 * found.viv.standard_error.item() + 0.005


def test_small_classes_are_left_out_and_one_class_has_no_error():
    tokens, labels = white(40, 4, 2), torch.zeros(40, dtype=torch.int64)
    labels[:5] = 1
    found = velocity_variance(tokens, labels)
    # the class alone, standardised by all images
    own = (tokens[5:] - tokens.mean((0, 1))) / tokens.std((0, 1), correction=0)
    assert math.isnan(found.viv.standard_error.item()) and found.viv.n_images == 35
    variance = (own - own.mean(0)).square().sum(0).mean() / 34
    assert found.within_class.value.item() == pytest.approx(variance.item(), rel=1e-6)
    with pytest.raises(LrcoreError, match="a class of at least 8 images that differ, the largest has 5"):
        velocity_variance(tokens[:10], torch.arange(10) % 2)
    with pytest.raises(LrcoreError, match="the same everywhere"):
        velocity_variance(torch.ones(20, 4, 2), torch.zeros(20, dtype=torch.int64))
    tokens[..., 1] = 7.0  # a constant channel does no harm
    assert torch.isfinite(velocity_variance(tokens, labels).viv.value)


# ------------------------------------------------------------------------------------------------------ neighbours


def test_neighbours_of_ones_own_class():
    """Two directions, a class each, but for one image that stands among the others."""
    labels = torch.tensor([0] * 6 + [1] * 6)
    tokens = torch.zeros(12, 4, 2, dtype=torch.float64)
    tokens[labels == 0, :, 0], tokens[labels == 1, :, 1] = 1.0, 3.0
    tokens += 1e-3 * white(12, 4, 2)
    assert [found.value.item() for found in neighbour_consistency(tokens, labels, (1, 5))] == [1, 1]
    moved = labels.clone()
    moved[0] = 1
    (found,) = neighbour_consistency(tokens, moved, (5,))
    # its own five neighbours have another class, and it is one of the five neighbours of five others
    assert found.value.item() == pytest.approx((0 + 5 * 4 / 5 + 6) / 12)
    assert found.standard_error.item() > 0


def test_neighbours_are_those_of_a_double_loop(monkeypatch):
    monkeypatch.setattr("lrcore.metrics.neighbours._BLOCK", 7)
    tokens, labels = white(30, 5, 4), torch.arange(30) % 3
    means = tokens.mean(1)
    cosine = torch.nn.functional.cosine_similarity(means[:, None], means[None], dim=2).fill_diagonal_(-2)
    expected = [
        sum(labels[other] == labels[one] for other in cosine[one].argsort(descending=True)[:10]) / 10
        for one in range(30)
    ]
    (found,) = neighbour_consistency(tokens, labels, (10,))
    assert found.value.item() == pytest.approx(float(sum(expected)) / 30)


@pytest.mark.parametrize("count", [0, 30, 31])
def test_as_many_neighbours_as_there_are(count):
    with pytest.raises(LrcoreError, match=f"{count} neighbours of 30 images: allowed are 1 to 29"):
        neighbour_consistency(white(30, 2, 2), torch.zeros(30, dtype=torch.int64), (count,))


def test_a_latent_without_direction_is_refused():
    tokens = white(30, 2, 2)
    tokens[3] = 0
    with pytest.raises(LrcoreError, match="zero in all channels"):
        neighbour_consistency(tokens, torch.zeros(30, dtype=torch.int64))


# -------------------------------------------------------------------------------------------------- spectral energy


def test_a_cosine_is_where_its_frequency_is():
    grid, images = (4, 6), []
    for u, v in ((0, 0), (1, 1), (3, 2)):
        spectrum = torch.zeros(*grid, dtype=torch.float64)
        spectrum[u, v] = 1.0
        images.append(torch.from_numpy(scipy.fft.idctn(spectrum.numpy(), norm="ortho")).flatten())
    tokens = torch.stack(images)[:, :, None]
    # the largest frequency is 8: beyond 2 lies one of the three, and one at 2 does not
    assert [found.value.item() for found in spectral_energy(tokens, grid)] == pytest.approx([1 / 3, 1 / 3])
    assert spectral_energy(tokens, grid, (0.0,))[0].value.item() == pytest.approx(2 / 3)


def test_energy_is_that_of_scipy():
    tokens = white(9, 15, 4)
    power = scipy.fft.dctn(tokens.mT.unflatten(2, (3, 5)).numpy(), axes=(2, 3), norm="ortho") ** 2
    u, v = torch.meshgrid(torch.arange(3), torch.arange(5), indexing="ij")
    expected = power[:, :, (u + v > 3).numpy()].sum() / power.sum()
    (found,) = spectral_energy(tokens, (3, 5), (0.5,))
    assert found.value.item() == pytest.approx(expected) and found.standard_error.item() > 0


def test_energy_refuses_what_has_none():
    with pytest.raises(LrcoreError, match="zero everywhere"):
        spectral_energy(torch.zeros(3, 4, 2), (2, 2))
    with pytest.raises(LrcoreError, match=r"in \[0, 1\), got 1\.0"):
        spectral_energy(white(3, 4, 2), (2, 2), (1.0,))


# ---------------------------------------------------------------------------------------------------- great circles


def test_half_way_on_a_great_circle_keeps_the_length(monkeypatch):
    monkeypatch.setattr(interpolation, "BLOCK", 7)
    latents = torch.nn.functional.normalize(white(40, 6).float(), dim=1).reshape(40, 3, 2)
    moved = great_circle_latents(latents, torch.Generator().manual_seed(0))
    assert moved.flatten(1).norm(dim=1) == pytest.approx(torch.ones(40), abs=1e-5)
    # each is as far from its latent as from one of the ten nearest others
    cosine = latents.flatten(1) @ latents.flatten(1).T
    nearest = cosine.fill_diagonal_(-2).topk(10, dim=1).indices
    to_all = moved.flatten(1) @ latents.flatten(1).T
    own = to_all.diagonal()
    assert ((to_all.gather(1, nearest) - own[:, None]).abs().amin(dim=1) < 1e-5).all()


def test_drawn_neighbours_are_drawn_from_all_ten():
    latents = white(60, 4).reshape(60, 2, 2)
    found = torch.stack([great_circle_latents(latents, torch.Generator().manual_seed(seed)) for seed in range(200)])
    assert len(found[:, 0].unique(dim=0)) == 10
    again = great_circle_latents(latents, torch.Generator().manual_seed(3))
    assert torch.equal(again, found[3])


def test_few_latents_have_all_others_for_neighbours():
    ends = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    moved = great_circle_latents(ends, torch.Generator())
    assert moved.flatten().tolist() == pytest.approx([math.sqrt(0.5)] * 4)
    with pytest.raises(LrcoreError, match="at least 2 latents"):
        great_circle_latents(ends[:1], torch.Generator())
    with pytest.raises(LrcoreError, match="a latent is zero"):
        great_circle_latents(torch.zeros(3, 1, 2), torch.Generator())


# ------------------------------------------------------------------------------------------------------ latent pixels


def sample(field, labels, patch):
    """Latents (N, C, H, W) as an autoencoder gives them whose tokens are patches of that size."""
    grid = (field.shape[2] // patch, field.shape[3] // patch)
    images = torch.randint(256, (len(field), 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

    def encode(pixels):
        return to_tokens(torch.nn.functional.avg_pool2d(pixels, 2).float(), patch)

    tokens = to_tokens(field, patch)
    return LatentSample(tokens, labels, tokens, labels, images, encode, grid, patch, 2)


def predicted(made):
    return predict(made.tokens, made.labels, made.grid, made.patch)


def test_what_a_latent_is_like_does_not_depend_on_patches():
    field, labels = white(40, 3, 8, 8).cumsum(2).cumsum(3), torch.arange(40) % 2
    plain, cut = (
        {(row.metric, row.index): row for row in [*diagnose(made), *predicted(made)]}
        for made in (sample(field, labels, 1), sample(field, labels, 2))
    )
    same = [key for key in plain if key[0].startswith(("spectrum", "viv", "within", "neighbour", "spectral"))]
    assert len(same) > 9
    for key in same:
        assert cut[key].value == pytest.approx(plain[key].value, rel=1e-9)
    # a token is twice as wide, so it holds twice the cycles
    assert cut["spectrum_power", 0].x == pytest.approx(2 * plain["spectrum_power", 0].x)
    assert cut["flip_error", -1].value == pytest.approx(plain["flip_error", -1].value)


def test_latent_pixels_undo_patches():
    field = white(2, 3, 4, 6)
    found = latent_pixels(to_tokens(field, 2), (2, 3), 2)
    assert found.grid == (4, 6)
    assert torch.equal(from_tokens(found.tokens, 1, found.grid), field)
    with pytest.raises(LrcoreError, match="do not hold patches of 5 x 5"):
        latent_pixels(to_tokens(field, 2), (2, 3), 5)


@pytest.mark.parametrize("images", [2, 5, 6])
def test_few_images_have_no_rows_of_what_needs_more(images):
    made = sample(white(images, 3, 8, 8), torch.arange(images) % 2, 1)
    names = {row.metric for row in predicted(made)}
    more = {"neighbour_consistency_5"} if images > 5 else set()
    assert names == {"spectral_energy_25", "spectral_energy_50"} | more


def test_images_of_one_class_tell_nothing_about_classes():
    labels = torch.zeros(12, dtype=torch.int64)
    found = {row.metric: row for row in predicted(sample(white(12, 3, 8, 8), labels, 1))}
    nothing = {name for name, row in found.items() if math.isnan(row.value)}
    assert nothing == {"within_class_variance", "neighbour_consistency_5", "neighbour_consistency_10"}
    assert {found[name].protocol for name in nothing} == {"not measured: all images are of one class"}
    assert all(found[name].n_images == 12 for name in nothing) and found["viv"].value > 0


def test_a_class_of_one_image_many_times_is_left_out():
    tokens, labels = white(40, 4, 2), torch.arange(40) % 2
    blank = tokens.clone()
    blank[labels == 1] = 0.5
    found = velocity_variance(blank, labels)
    assert found.viv.n_images == 20 and found.viv.value.item() > 0
    blank[labels == 0] = -0.5
    with pytest.raises(LrcoreError, match="images that differ"):
        velocity_variance(blank, labels)
