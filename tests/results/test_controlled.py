"""lrcore.results.controlled: the study file and the code say that one thing varies."""

from __future__ import annotations

import dataclasses

import torch

from lrcore.autoencoders.patch_autoencoder import PatchAutoencoder, patch_moments
from lrcore.results import naming
from lrcore.results.controlled import ALIGNMENTS, LINEAR
from lrcore.studies.loading import load_study

AUTOENCODERS = load_study("cifar10-cpu").autoencoders
ALIGNMENT_ALONE = {"alignment_weight", "alignment_hidden", "seed"}


def differing(one: str, other: str) -> set[str]:
    first, second = (dataclasses.asdict(AUTOENCODERS[ae]) for ae in (one, other))
    return {key for key in first if first[key] != second[key]}


def test_linear_patches_differ_in_their_coefficients_alone() -> None:
    for ae in LINEAR:
        assert AUTOENCODERS[ae].family == "patches" and differing(LINEAR[0], ae) <= {"coefficients"}
    assert [AUTOENCODERS[ae].coefficients for ae in LINEAR] == [4, 8, 16, 32, 0]


def test_aligned_ones_differ_in_alignment_and_what_is_said_beside() -> None:
    for one in ALIGNMENTS:
        assert AUTOENCODERS[one.unaligned].alignment_weight == 0
        for ae in one.aligned:
            found = differing(one.unaligned, ae)
            assert AUTOENCODERS[ae].alignment_weight > 0
            assert (found <= ALIGNMENT_ALONE) == (one.also == ""), found
            # a family of another normalisation: batch-norm statistics, or one shift and scale
            assert found <= ALIGNMENT_ALONE | {"family"}
            assert differing(one.aligned[0], ae) <= {"seed"}


def test_pixels_are_a_rotation_of_all_components_with_the_same_scale() -> None:
    images = torch.randint(0, 256, (32, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[:, :, ::2] //= 4  # directions of unlike variance
    moments, shown = patch_moments(images, 4), images.float() / 127.5 - 1
    pixels, components = (PatchAutoencoder(moments, 16, 4, count) for count in (0, 48))
    tokens, rotated = (one.encode_batch(shown).flatten(0, 1).double() for one in (pixels, components))
    assert torch.allclose(tokens @ tokens.T, rotated @ rotated.T, atol=1e-3)
    assert not torch.allclose(tokens, rotated, atol=1e-1)
    for count in (4, 48):
        few = PatchAutoencoder(moments, 16, 4, count).encode_batch(shown).flatten(0, 1)
        assert abs(float(few.var(dim=0, correction=0).mean()) - 1) < 1e-3


def test_all_have_a_look() -> None:
    assert {*LINEAR, *(ae for one in ALIGNMENTS for ae in (one.unaligned, *one.aligned))} <= set(naming.AES)
