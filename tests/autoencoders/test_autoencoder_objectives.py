"""The autoencoders' losses: the adversarial term, precision, what moves what, and that a step can be replayed."""

import dataclasses

import pytest
import torch
from torch.nn.functional import cosine_similarity

from lrcore.autoencoders import flux2, kl, rae_decoder
from lrcore.autoencoders.adversarial import (
    PatchDiscriminator,
    adaptive_weight,
    adversary_of,
    discriminator_hinge,
    generator_hinge,
)
from lrcore.autoencoders.alignment import on_grid
from lrcore.autoencoders.objectives import AlignedKLObjective, KLObjective, RaeObjective, ReconstructionLoss
from lrcore.autoencoders.patches import to_tokens
from lrcore.errors import LrcoreError
from lrcore.runtime.seeds import generator
from lrcore.spec.study import AutoencoderSpec, AutoencoderTraining
from lrcore.training.average import MovingAverage
from lrcore.training.checkpoints import TrainingState

FAMILIES = ("kl", "flux2", "rae")
PLAIN = AutoencoderTraining(30, 4, 2e-3, 0.9, 10, "alex", 0.5, gan_width=8, gan_layers=2)
GAN = dataclasses.replace(PLAIN, gan_weight=0.7)
CHANNELS = 24
CONVOLUTIONAL = {"widths": (8, 16), "latent_channels": 4, "patch": 2, "kl_weight": 1e-2}
SPECS = {
    "kl": AutoencoderSpec("kl", **CONVOLUTIONAL),
    "flux2": AutoencoderSpec("flux2", **CONVOLUTIONAL, alignment_weight=0.5, alignment_hidden=16),
    "rae": AutoencoderSpec("rae", decoder_width=16, decoder_depth=1, decoder_heads=2, noise_tau=0.5),
}


class Perceptual:
    """In place of LPIPS: squared differences, keeping what it was called with."""

    def __call__(self, decoded, images):
        self.decoded, self.autocast = decoded, torch.is_autocast_enabled("cpu")
        return (decoded - images).square().mean((1, 2, 3), keepdim=True)


def build(family, training=PLAIN):
    torch.manual_seed(0)
    spec, reconstruction = SPECS[family], ReconstructionLoss(Perceptual(), training.lpips_weight)
    shared = {"precision": training.precision}
    if family == "kl":
        return KLObjective(
            kl.small_model(spec, 32), spec, reconstruction, **shared, adversary=adversary_of(training, 32)
        )
    if family == "flux2":
        model = flux2.small_model(spec, 32)
        return AlignedKLObjective(model, spec, reconstruction, CHANNELS, **shared, adversary=adversary_of(training, 32))
    model = rae_decoder.TimmRaeDecoder(
        encoder="any",
        encoder_size=128,
        encoder_sha256="any",
        channels=CHANNELS,
        grid=8,
        resolution=32,
        decoder_width=spec.decoder_width,
        decoder_depth=spec.decoder_depth,
        decoder_heads=spec.decoder_heads,
    )
    return RaeObjective(model, spec, reconstruction, **shared, adversary=adversary_of(training, 32))


def batch(patches=64):
    draw = torch.Generator().manual_seed(5)
    smooth = torch.rand(4, 3, 4, 4, generator=draw) * 2 - 1
    images = torch.nn.functional.interpolate(smooth, size=32, mode="bilinear")
    return images, torch.randn(4, patches, CHANNELS, generator=draw)


def gradients(module):
    return {name: None if p.grad is None else p.grad.clone() for name, p in module.named_parameters()}


def gradients_of(objective, *names):
    """Gradients of the sum of the named terms (all without names), by parameter."""
    objective.zero_grad(set_to_none=True)
    terms = objective.terms(*batch(), generator(1), 0)
    sum(terms[name] for name in names or terms).backward()
    return gradients(objective)


def same(a, b):
    if a is None or b is None:
        return a is None and b is None
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)
    return True


def test_hinge_by_hand():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    # real: 0, 0.5, 2; fake: 0, 1, 2
    assert discriminator_hinge(real, fake).item() == pytest.approx(0.5 * (2.5 / 3 + 1.0))
    assert generator_hinge(fake).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(("resolution", "layers", "side"), [(32, 2, 6), (256, 3, 30), (12, 2, 1)])
def test_one_logit_a_patch(resolution, layers, side):
    discriminator = PatchDiscriminator(8, layers)
    assert discriminator(torch.zeros(1, 3, resolution, resolution)).shape == (1, 1, side, side)
    assert isinstance(discriminator.stages[0], torch.nn.Conv2d)


def test_a_verdict_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    discriminator, (images, _) = PatchDiscriminator(8, 2), batch()
    torch.testing.assert_close(discriminator(images)[:1], discriminator(images[:1]))
    assert not list(discriminator.buffers())


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(LrcoreError, match="gan_layers = 2 needs images of at least 12 px, got 8 px"):
        adversary_of(GAN, 8)
    assert adversary_of(PLAIN, 8) is None


def test_adaptive_weight_by_hand():
    last = torch.zeros(2, requires_grad=True)
    reconstruction, adversarial = (last * torch.tensor([3.0, 4.0])).sum(), (last * torch.tensor([0.0, 2.0])).sum()
    weight = adaptive_weight(reconstruction, adversarial, last)
    assert weight.item() == pytest.approx(5 / (2 + 1e-4))
    assert not weight.requires_grad
    assert adaptive_weight(reconstruction, 0 * adversarial, last).item() == 1e4
    assert adaptive_weight(0 * reconstruction, adversarial, last).item() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adversarial_term_is_the_weighted_verdict(family):
    objective = build(family, GAN)
    terms = objective.terms(*batch(), generator(1), 0)
    decoder = objective.model.decoder
    last = decoder.decoder_pred.weight if family == "rae" else decoder.conv_out.weight
    verdict = -objective.adversary.discriminator(objective.reconstruction.lpips.decoded).mean()
    pulls = [
        torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (terms["l1"] + terms["lpips"], verdict)
    ]
    expected = 0.7 * pulls[0] / (pulls[1] + 1e-4) * verdict
    torch.testing.assert_close(terms["adversarial"], expected)
    assert torch.equal(objective.loss(*batch(), generator(1), 0), sum(terms.values()))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_player_is_moved_by_its_own_loss_alone(family):
    objective = build(family, GAN)
    together, discriminator = gradients_of(objective), gradients_of(objective, "discriminator")
    own = set(objective.terms(*batch(), generator(1), 0)) - {"discriminator"}
    autoencoder, adversarial = gradients_of(objective, *sorted(own)), gradients_of(objective, "adversarial")
    for name, gradient in together.items():
        if name.startswith("adversary."):
            assert adversarial[name] is None
            assert same(gradient, discriminator[name])
            # the hinges' pulls on the last bias cancel while all logits lie within the margin
            assert gradient.any() or name.endswith("bias")
        else:
            assert discriminator[name] is None
            assert same(gradient, autoencoder[name])
    assert any(name.startswith("model.decoder") and g is not None and g.any() for name, g in adversarial.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adversary_waits_for_its_step(family):
    objective = build(family, dataclasses.replace(GAN, gan_start=3))
    plain = build(family)
    early = objective.loss(*batch(), generator(1), 2)
    assert torch.equal(early, plain.loss(*batch(), generator(1), 2))
    early.backward()
    assert all(p.grad is None for p in objective.adversary.parameters())
    assert {"adversarial", "discriminator"} <= set(objective.terms(*batch(), generator(1), 3))


def reference_loss(objective, family):
    """The losses without adversary, written out."""
    images, features = batch()
    draw, spec = generator(1), objective.spec
    if family == "rae":
        tokens = objective.model.normalise(features)
        strength = spec.noise_tau * torch.randn(4, 1, 1, generator=draw).abs()
        decoded = objective.model(tokens + strength * torch.randn(tokens.shape, generator=draw))
        return (decoded - images).abs().mean() + 0.5 * (decoded - images).square().mean((1, 2, 3)).mean()
    posterior = objective.model.encode(images).latent_dist
    decoded = objective.model.decode(posterior.sample(draw)).sample
    loss = (decoded - images).abs().mean() + 0.5 * (decoded - images).square().mean((1, 2, 3)).mean()
    loss = loss + spec.kl_weight * (posterior.kl().mean() / posterior.mean[0].numel())
    if family == "kl":
        return loss
    projected = objective.projector(to_tokens(posterior.mean, 2))
    return loss + 0.5 * -cosine_similarity(projected, features, dim=-1).mean()


@pytest.mark.parametrize("family", FAMILIES)
def test_without_an_adversary_the_loss_is_the_plain_one_bit_for_bit(family):
    objective = build(family)
    assert not any(name.startswith("adversary") for name in objective.state_dict())
    losses, found = [reference_loss(objective, family), objective.loss(*batch(), generator(1), 10**6)], []
    for loss in losses:
        objective.zero_grad(set_to_none=True)
        loss.backward()
        found.append(gradients(objective))
    assert torch.equal(*losses)
    for name, gradient in found[0].items():
        assert (gradient is None and found[1][name] is None) or torch.equal(gradient, found[1][name])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adversary_stands_beside_the_autoencoder(family):
    objective, plain = build(family, GAN), build(family)
    assert set(objective.model.state_dict()) == set(plain.model.state_dict())
    # and leaves the start of what is exported alone
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, objective.state_dict()[name])


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_close_and_its_gradients_are_float32(family):
    objective = build(family, dataclasses.replace(GAN, precision="bfloat16"))
    kinds = []
    if family != "rae":
        objective.model.decoder.conv_in.register_forward_pre_hook(lambda _, inputs: kinds.append(inputs[0].dtype))
        objective.model.post_quant_conv.register_forward_pre_hook(lambda _, inputs: kinds.append(inputs[0].dtype))
    plain = build(family, GAN).terms(*batch(), generator(1), 0)
    terms = objective.terms(*batch(), generator(1), 0)
    for name, term in terms.items():
        assert term.dtype == torch.float32
        torch.testing.assert_close(term, plain[name], rtol=0.05, atol=0.02)
    sum(terms.values()).backward()
    for name, parameter in objective.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is None or (parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all())
        assert parameter.grad is not None or not name.startswith("adversary")
    perceptual = objective.reconstruction.lpips
    assert (perceptual.decoded.dtype, perceptual.autocast) == (torch.float32, False)
    if family != "rae":
        assert set(kinds) == {torch.float32, torch.bfloat16}, "the sample is float32, what follows is not"


@pytest.mark.parametrize("family", FAMILIES)
def test_all_randomness_comes_from_the_generator(family):
    objective, before = build(family, GAN), torch.get_rng_state()
    first = objective.loss(*batch(), generator(1), 0)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(77)
    assert torch.equal(first, objective.loss(*batch(), generator(1), 0))
    assert not torch.equal(first, objective.loss(*batch(), generator(2), 0))


def test_an_average_is_a_copy_of_its_own():
    objective = build("flux2", GAN)
    average = MovingAverage(objective, 0.9)
    average.follow(objective, first=True)
    loss = average.module.loss(*batch(), generator(1), 0)
    assert torch.equal(loss, objective.loss(*batch(), generator(1), 0))
    loss.backward()
    assert all(parameter.grad is None for parameter in objective.parameters())


def trained(state, steps):
    for _ in range(steps):
        state.advance(state.model.loss(*batch(), generator("step", state.step), state.step))
    return state


@pytest.mark.parametrize("start", [0, 3])
def test_a_resumed_training_ends_with_the_same_weights(tmp_path, start):
    training = dataclasses.replace(GAN, gan_start=start)
    whole = trained(TrainingState.start(build("flux2", training), 1e-3, 0.9), 5)
    trained(TrainingState.start(build("flux2", training), 1e-3, 0.9), 2).save([tmp_path / "state.safetensors"])
    resumed = TrainingState.start(build("flux2", training), 1e-3, 0.9)
    resumed.restore([tmp_path / "state.safetensors"])
    trained(resumed, 3)
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, resumed.average.state_dict()[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_autoencoder_learns_beside_its_adversary(family):
    state = TrainingState.start(build(family, GAN), 5e-3, 0.9)
    first = state.model.terms(*batch(), generator("step", 0), 0)
    trained(state, 30)
    last = state.model.terms(*batch(), generator("step", 0), 30)
    assert last["l1"] + last["lpips"] < 0.8 * (first["l1"] + first["lpips"])
    assert all(term.isfinite() for term in last.values())


def test_features_reach_the_grid_of_the_tokens():
    features = torch.arange(16.0).reshape(1, 16, 1)
    assert on_grid(features, (4, 4)) is features
    assert on_grid(features, (2, 2)).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    finer = on_grid(features, (8, 8)).reshape(8, 8)
    assert finer.shape == (8, 8)
    assert finer.mean().item() == pytest.approx(7.5)
    assert (finer.diff(dim=1) >= 0).all()
    with pytest.raises(LrcoreError, match="square grid of encoder patches, got 15 patches"):
        on_grid(features[:, :15], (4, 4))


@pytest.mark.parametrize("patches", [16, 49, 256])
def test_alignment_takes_features_of_any_square_grid(patches):
    objective = build("flux2")
    terms = objective.terms(*batch(patches), generator(1), 0)
    assert terms["alignment"].isfinite()
    terms["alignment"].backward()
    assert all(weight.grad.any() for weight in objective.projector.parameters())


def test_only_the_families_that_use_features_need_them():
    images, _ = batch()
    assert build("kl").loss(images, None, generator(1), 0).isfinite()
    for family in ("flux2", "rae"):
        with pytest.raises(ValueError, match="needs the encoder's features"):
            build(family).loss(images, None, generator(1), 0)
