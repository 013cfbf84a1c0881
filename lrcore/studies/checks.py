"""What a study must hold beyond the right types: known names, numbers in range, keys that are used, parts that fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import MISSING, fields

from lrcore.errors import LrcoreError, naming, shown, unknown
from lrcore.flow.shapes import SHAPES, with_width
from lrcore.flow.timesteps import TRAINING_DENSITIES
from lrcore.spec.study import (
    DATASETS,
    LATENT_PRECISIONS,
    LATENTS,
    NO_REPA,
    NO_SKIP,
    NO_TRAINING,
    NORMALISATIONS,
    PRECISIONS,
    RESERVED,
    SCORES,
    SELF_REPA,
    SHARDS,
    SKIPS,
    UNREADABLE,
    AutoencoderSpec,
    AutoencoderTraining,
    Cell,
    Choice,
    Data,
    Grid,
    Study,
    written,
)
from lrcore.studies.limits import check_limits
from lrcore.studies.widths import check_widths, known_channels

LONGEST_STUDY, LONGEST_AUTOENCODER = 60, 40
"""Characters of names, which stand beside one another in the names of files."""


def check(study: Study) -> None:
    """Refuse a study that no stage could work with, before any work.

    Raises:
        LrcoreError: naming the key, the value and what is allowed.
    """
    _check_name("study", study.name, LONGEST_STUDY)
    for name in study.autoencoders:
        _check_name("autoencoder", name, LONGEST_AUTOENCODER)
    check_limits(study)
    _check_data(study.data)
    _check_networks(study)
    _one_of("training.model", "model", study.training.model, SHAPES)
    _one_of("training.precision", "", study.training.precision, PRECISIONS)
    _one_of("training.latent", "", study.training.latent, LATENTS)
    _one_of("training.latent_precision", "", study.training.latent_precision, LATENT_PRECISIONS)
    _one_of("evaluation.score", "", study.evaluation.score, SCORES)
    for ae in study.autoencoders:
        _check_autoencoder(study, ae)
    tables: list[tuple[str, Grid | Choice]] = [
        *((f"grid[{number}]", grid) for number, grid in enumerate(study.grid)),
        *((f"choice[{number}]", choice) for number, choice in enumerate(study.choice)),
    ]
    groups = [group for _, group in tables]
    for where, group in tables:
        _check_group(study, where, group)
    steps = study.training.evaluate_at
    if list(steps) != sorted(set(steps)):
        raise LrcoreError(f"training.evaluate_at must be increasing steps from 1, got {shown(list(steps))}")
    depth, block = SHAPES[study.training.model].depth, study.training.repa_block
    if not 1 <= block <= depth:
        raise LrcoreError(f"training.repa_block must be 1 to {depth} for {study.training.model}, got {block}")
    target = study.training.self_block
    if any(SELF_REPA in group.repa for group in groups) and not block < target <= depth:
        raise LrcoreError(
            f"training.self_block must be above training.repa_block, {block}, and at most {depth} for "
            f"{study.training.model} where repa is '{SELF_REPA}', got {target}"
        )
    _check_sampler(study)
    named: dict[str, Cell] = {}
    for cell in study.cells:
        if (other := named.setdefault(cell.name, cell)) != cell:
            raise LrcoreError(f"two trainings of the study go by the name '{cell.name}': {other} and {cell}")
    if study.evaluation.n_reference > study.data.train_images and not study.evaluation.reference:
        raise LrcoreError(
            f"evaluation.n_reference is {study.evaluation.n_reference}, but data.train_images is "
            f"{study.data.train_images}"
        )
    for number, choice in enumerate(study.choice):
        _check_choice(study, f"choice[{number}]", choice)
    check_widths(study, known_channels(study))


def require_measurable(study: Study, stages: Iterable[object]) -> None:
    """Refuse a study whose `stages` (of `lrcore.stages.engine`) would end without their numbers, after hours of work.

    Raises:
        LrcoreError: naming the key, the value and what is allowed.
    """
    from lrcore.metrics.manifold import NEIGHBOURS
    from lrcore.metrics.probe import LEAST_TRAINING_IMAGES
    from lrcore.metrics.reconstruction import LPIPS_SMALLEST

    data, evaluation, asked = study.data, study.evaluation, set(stages)
    if "reconstruction" in asked:
        _at_least("data.resolution", data.resolution, max(LPIPS_SMALLEST.values()), "LPIPS takes")
    if "diagnostics" in asked:
        _at_least("data.train_images", data.train_images, LEAST_TRAINING_IMAGES, "the linear probe takes")
    drawn: dict[str, tuple[int, ...]] = {}
    if "generation" in asked:
        drawn["evaluation.n_samples"] = (evaluation.n_samples,)
    if "choice" in asked:
        drawn |= {f"choice[{number}].n_samples": choice.n_samples for number, choice in enumerate(study.choice)}
    for key, counts in drawn.items():
        _at_least(key, min(counts), NEIGHBOURS + 1, "precision and recall take")
        _at_least("evaluation.n_reference", evaluation.n_reference, NEIGHBOURS + 1, "precision and recall take")
        _at_least("data.train_images", data.train_images, NEIGHBOURS + 1, "precision and recall take")


def _at_least(key: str, value: int, least: int, why: str) -> None:
    if value < least:
        raise LrcoreError(f"{key} must be at least {least}, which {why}, got {value}")


def _check_name(kind: str, name: str, longest: int) -> None:
    fits = re.fullmatch(r"[a-z][a-z0-9_-]*", name) and name not in RESERVED and not (kind == "study" and "_" in name)
    if not fits or len(name) > longest:
        raise LrcoreError(
            f"{kind} name {shown(name)} must be lower-case letters, digits and '-', a letter first, at most {longest} "
            f"of them, and not {' or '.join(map(repr, RESERVED))}"
        )


def _check_networks(study: Study) -> None:
    """That the encoder and the feature network are known, and take the size and the weights that are given."""
    from lrcore.encoders.loading import ENCODERS, check_encoder
    from lrcore.metrics.features import FEATURE_NETWORKS, check_feature_network

    encoder, evaluation = study.encoder, study.evaluation
    check_encoder(encoder.name, encoder.size)
    with naming("evaluation.feature_network"):
        check_feature_network(evaluation.feature_network)
    for key, name, pinned, weights in (
        ("encoder.weights", encoder.name, ENCODERS, encoder.weights),
        ("evaluation.feature_weights", evaluation.feature_network, FEATURE_NETWORKS, evaluation.feature_weights),
    ):
        if weights and name in pinned:
            raise LrcoreError(f"{key} {shown(written(weights))}: '{name}' has pinned weights and takes no others")


def _check_group(study: Study, where: str, group: Grid | Choice) -> None:
    """That what a [[grid]] or a [[choice]] lists is known."""
    known: dict[str, tuple[str, Iterable[str]]] = {
        "ae": ("autoencoder", study.autoencoders),
        "trainp": ("trainp", TRAINING_DENSITIES),
        "repa": ("repa", (NO_REPA, SELF_REPA, study.encoder.name)),
        "skip": ("skip", SKIPS),
    }
    for key, (kind, allowed) in known.items():
        for value in getattr(group, key):
            _one_of(f"{where}.{key}", kind, value, allowed)
    for width in group.width:
        if width == SHAPES[study.training.model].width:
            raise LrcoreError(
                f"{where}.width: width {width} is that of {study.training.model}: write 0 for the model's own"
            )
        with naming(f"{where}.width"):
            with_width(SHAPES[study.training.model], width)


def _check_choice(study: Study, where: str, choice: Choice) -> None:
    """That a [[choice]] has something to choose from, and samples that did not choose."""
    if choice.sample_seed == study.evaluation.sample_seed:
        raise LrcoreError(
            f"{where}: choice.sample_seed {choice.sample_seed} is evaluation's: the samples that chose would be "
            "measured again"
        )
    plain = {cell.ae for cell in study.cells if (cell.repa, cell.train_seed, cell.width, cell.skip) ==
             (NO_REPA, study.seed, 0, NO_SKIP)}  # fmt: skip
    for ae in choice.ae:
        if ae not in plain:
            raise LrcoreError(
                f"{where}: choice.ae names '{ae}', of which no [[grid]] has a training without REPA, with the study's "
                "seed and the model's own width: there is nothing to choose from"
            )


def _check_data(data: Data) -> None:
    """That the keys of [data] are those that its dataset uses."""
    _one_of("data.dataset", "dataset", data.dataset, DATASETS)
    _one_of("data.unreadable", "", data.unreadable, UNREADABLE)
    used = DATASETS[data.dataset]
    shards = data.dataset in SHARDS
    for key in ("path", "validation_path") if shards else ("path",):
        if key in used and not getattr(data, key):
            wanted = "the pattern of the shards" if shards else "the folder with the images"
            raise LrcoreError(f"data.{key} is missing: dataset '{data.dataset}' needs {wanted}")
    for field in fields(data):
        if field.default is not MISSING and field.name not in used and getattr(data, field.name) != field.default:
            raise LrcoreError(
                f"data.{field.name} means nothing for dataset '{data.dataset}'; beside the numbers it takes: "
                f"{', '.join(used) or '(nothing)'}"
            )
    if data.dataset == "cifar10":
        _check_cifar10(data)


def _check_cifar10(data: Data) -> None:
    from lrcore.datasets.cifar10 import SIZES

    if data.resolution != 32:
        raise LrcoreError(f"data.resolution must be 32 for cifar10, got {data.resolution}")
    for key, split in (("train_images", "train"), ("validation_images", "test")):
        if getattr(data, key) > SIZES[split]:
            raise LrcoreError(f"data.{key} must be at most {SIZES[split]} for cifar10, got {getattr(data, key)}")


def _check_sampler(study: Study) -> None:
    from lrcore.flow.guidance import Guidance
    from lrcore.flow.sampling import SAMPLERS, sampler_grid

    evaluation = study.evaluation
    _one_of("evaluation.sampler", "sampler", evaluation.sampler, SAMPLERS)
    with naming("evaluation.sampling_steps"):
        sampler_grid(evaluation.sampler, evaluation.sampling_steps, 1.0)
    if len(evaluation.guidance_interval) != 2:
        raise LrcoreError(
            f"evaluation.guidance_interval must be two times [low, high], got {list(evaluation.guidance_interval)}"
        )
    with naming("evaluation.guidance_interval"):
        Guidance(evaluation.guidance, *evaluation.guidance_interval)
    if evaluation.guidance != 1 and study.training.class_dropout == 0:
        raise LrcoreError("evaluation.guidance other than 1 needs a training.class_dropout above 0")


_TRAINED_KL = {"widths", "latent_channels", "layers_per_block", "patch", "kl_weight", "precision", "seed"}
_STORED = {"pretrained", "subfolder", "revision", "variant", "precision", "size"}
_USED_KEYS = {
    ("trained", "kl"): _TRAINED_KL,
    ("trained", "flux2"): _TRAINED_KL | {"alignment_weight", "alignment_hidden"},
    ("trained", "rae"): {"decoder_width", "decoder_depth", "decoder_heads", "noise_tau", "precision", "seed"},
    ("pretrained", "kl"): _STORED | {"patch"},
    ("pretrained", "diffusers"): _STORED | {"patch"},
    ("pretrained", "flux2"): _STORED,
    ("pretrained", "rae"): _STORED,
    ("pretrained", "taef2"): {"size", "precision"},
    ("fitted", "patches"): {"patch", "coefficients"},
}


def _check_autoencoder(study: Study, ae: str) -> None:
    """That the keys of one autoencoder are those it uses, and its numbers such that it can be built."""
    from lrcore.autoencoders.custom import check_custom_name

    spec, name = study.autoencoders[ae], f"autoencoders.{ae}"
    if spec.origin == "custom":
        with naming(f"{name}.family"):
            check_custom_name(spec.family)
    used = {"family", "normalise", *(["options", "size"] if spec.origin == "custom" else [])} | _USED_KEYS.get(
        (spec.origin, spec.family), set()
    )
    for field in fields(spec):
        if field.name not in used and getattr(spec, field.name) != field.default:
            raise LrcoreError(
                f"{name}.{field.name} means nothing for a {spec.origin} autoencoder of family '{spec.family}'; "
                f"its keys: {', '.join(sorted(used))}"
            )
    _one_of(f"{name}.precision", "", spec.precision, PRECISIONS)
    if spec.family == "diffusers" and not spec.pretrained:
        raise LrcoreError(f"missing: {name}.pretrained, a hub id or a folder, which family 'diffusers' takes")
    if not re.fullmatch(r"[A-Za-z0-9_]*", spec.variant):
        raise LrcoreError(f"{name}.variant must be letters and digits, such as 'fp16', got {shown(spec.variant)}")
    if spec.normalise:
        _one_of(f"{name}.normalise", "", spec.normalise, NORMALISATIONS)
    if spec.family == "patches":
        _check_patches(spec, name, study.data.resolution)
    if spec.family == "taef2" and (spec.size < 8 or spec.size % 8):
        raise LrcoreError(f"{name}.size must be a multiple of 8 (64 for images of 32 px), got {spec.size}")
    if spec.origin != "trained":
        return
    if study.autoencoder_training == NO_TRAINING:
        raise LrcoreError(f"missing: autoencoder_training, by which '{ae}' is trained")
    _check_training(study.autoencoder_training, study.data.resolution)
    if spec.family == "rae":
        _check_decoder(spec, name)
    else:
        _check_convolutions(spec, name, study.data.resolution)


def _check_training(training: AutoencoderTraining, resolution: int) -> None:
    """That the losses of an autoencoder's training are known and take images of `resolution` px."""
    from lrcore.autoencoders.adversarial import least_resolution
    from lrcore.metrics.reconstruction import LPIPS_SMALLEST

    _one_of("autoencoder_training.lpips_net", "LPIPS network", training.lpips_net, LPIPS_SMALLEST)
    _one_of("autoencoder_training.precision", "", training.precision, PRECISIONS)
    _at_least("data.resolution", resolution, LPIPS_SMALLEST[training.lpips_net], f"LPIPS ({training.lpips_net}) takes")
    if training.gan_weight and resolution < least_resolution(training.gan_layers):
        raise LrcoreError(
            f"autoencoder_training.gan_layers {training.gan_layers} needs a data.resolution of at least "
            f"{least_resolution(training.gan_layers)} px, got {resolution}"
        )


def _check_patches(spec: AutoencoderSpec, name: str, resolution: int) -> None:
    from lrcore.autoencoders.base import token_grid

    pixels = 3 * spec.patch**2
    if not 0 <= spec.coefficients <= pixels:
        raise LrcoreError(
            f"{name}.coefficients must be 1 to {pixels}, the values of a patch, or 0 for its pixels as they are; got "
            f"{spec.coefficients}"
        )
    with naming(name):
        token_grid(resolution, 1, spec.patch)


def _check_decoder(spec: AutoencoderSpec, name: str) -> None:
    if min(spec.decoder_width, spec.decoder_depth, spec.decoder_heads) < 1:
        raise LrcoreError(f"{name} needs decoder_width, decoder_depth and decoder_heads of at least 1")
    if spec.decoder_width % (4 * spec.decoder_heads):
        raise LrcoreError(f"{name}.decoder_width must be a multiple of 4 x decoder_heads")


def _check_convolutions(spec: AutoencoderSpec, name: str, resolution: int) -> None:
    from lrcore.autoencoders.base import token_grid

    if not spec.widths or min(spec.widths) < 8 or any(width % 8 for width in spec.widths):
        raise LrcoreError(f"{name}.widths must be multiples of 8, at least one, got {list(spec.widths)}")
    if min(spec.latent_channels, spec.layers_per_block, spec.alignment_hidden) < 1:
        raise LrcoreError(f"{name} needs latent_channels, layers_per_block and alignment_hidden of at least 1")
    with naming(name):
        token_grid(resolution, 2 ** (len(spec.widths) - 1), spec.patch)


def _one_of(key: str, kind: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse another value of `key`; `kind` says what it names, "" where the key does."""
    names = list(allowed)
    if value in names:
        return
    if not kind:
        raise unknown(f"value of {key}", value, names)
    with naming(key):
        raise unknown(kind, value, names)
