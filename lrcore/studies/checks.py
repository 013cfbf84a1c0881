"""What a study must hold beyond the right types: known names, numbers in range, keys that are used, parts that fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields

from lrcore.errors import LrcoreError, unknown
from lrcore.flow.timesteps import TRAINING_DENSITIES
from lrcore.flow.transformer import SHAPES, with_width
from lrcore.spec.study import (
    DATASETS,
    LATENT_PRECISIONS,
    LATENTS,
    NO_REPA,
    NO_SKIP,
    NO_TRAINING,
    PRECISIONS,
    SCORES,
    SELF_REPA,
    SKIPS,
    UNREADABLE,
    AutoencoderSpec,
    Cell,
    Choice,
    Data,
    Grid,
    Study,
)
from lrcore.studies.widths import check_widths, known_channels

LEAST = {
    "n_samples": 2, "n_reference": 2, "validation_images": 2, "gan_start": 0, "sample_seed": 0, "n_interpolated": 0,
    "self_block": 0,
}  # fmt: skip
"""Of the whole numbers that may not be 1 or have to be more."""


def check(study: Study) -> None:
    """Refuse a study that no stage could work with, before any work.

    Raises:
        LrcoreError: naming the key, the value and what is allowed.
    """
    for kind, name in [("study", study.name), *(("autoencoder", name) for name in study.autoencoders)]:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or name == "orig" or (kind == "study" and "_" in name):
            raise LrcoreError(f"{kind} name {name!r} must be lower-case letters, digits and '-', and not 'orig'")
    from lrcore.encoders.loading import check_encoder_name
    from lrcore.metrics.features import check_feature_network

    _check_data(study.data)
    check_encoder_name(study.encoder.name)
    _one_of("model", study.training.model, SHAPES)
    _one_of("value of training.precision", study.training.precision, PRECISIONS)
    _one_of("value of training.latent", study.training.latent, LATENTS)
    _one_of("value of training.latent_precision", study.training.latent_precision, LATENT_PRECISIONS)
    check_feature_network(study.evaluation.feature_network)
    _one_of("value of evaluation.score", study.evaluation.score, SCORES)
    for ae in study.autoencoders:
        _check_autoencoder(study, ae)
    groups: list[Grid | Choice] = [*study.grid, *study.choice]
    for group in groups:
        _check_group(study, group)
    steps = study.training.evaluate_at
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
        raise LrcoreError(f"training.evaluate_at must be increasing steps from 1, got {list(steps)}")
    depth, block = SHAPES[study.training.model].depth, study.training.repa_block
    if not 1 <= block <= depth:
        raise LrcoreError(f"training.repa_block must be 1 to {depth} for {study.training.model}, got {block}")
    target = study.training.self_block
    if any(SELF_REPA in group.repa for group in groups) and not block < target <= depth:
        raise LrcoreError(
            f"training.self_block must be above training.repa_block, {block}, and at most {depth} for "
            f"{study.training.model} where repa is '{SELF_REPA}', got {target}"
        )
    _positive("evaluation.sampleshifts", study.evaluation.sampleshifts)
    _check_sampler(study)
    for grid in study.grid:
        _positive("trainshift", grid.trainshift)
    if not study.cells:
        raise LrcoreError("the study has no cells: every list of a [[grid]] needs a value")
    named: dict[str, Cell] = {}
    for cell in study.cells:
        if (other := named.setdefault(cell.name, cell)) != cell:
            raise LrcoreError(f"two trainings of the study go by the name '{cell.name}': {other} and {cell}")
    _check_bounds(study)
    if study.evaluation.n_reference > study.data.train_images and not study.evaluation.reference:
        raise LrcoreError(
            f"evaluation.n_reference is {study.evaluation.n_reference}, but data.train_images is "
            f"{study.data.train_images}"
        )
    for choice in study.choice:
        _check_choice(study, choice)
    check_widths(study, known_channels(study))


def _check_group(study: Study, group: Grid | Choice) -> None:
    """That what a [[grid]] or a [[choice]] lists is known."""
    for ae in group.ae:
        _one_of("autoencoder", ae, study.autoencoders)
    for trainp in group.trainp:
        _one_of("trainp", trainp, TRAINING_DENSITIES)
    for repa in group.repa:
        _one_of("repa", repa, (NO_REPA, SELF_REPA, study.encoder.name))
    for skip in group.skip:
        _one_of("skip", skip, SKIPS)
    for width in group.width:
        if width == SHAPES[study.training.model].width:
            raise LrcoreError(f"width {width} is that of {study.training.model}: write 0 for the model's own")
        if width:
            with_width(SHAPES[study.training.model], width)


def _check_choice(study: Study, choice: Choice) -> None:
    """That a [[choice]] has something to choose from, and numbers of samples that can be measured."""
    for key in ("ae", "n_samples", "repa", "skip"):
        if not getattr(choice, key):
            raise LrcoreError(f"choice.{key} must name at least one value")
    if min(choice.n_samples) < 2:
        raise LrcoreError(f"choice.n_samples must be at least 2, got {list(choice.n_samples)}")
    if choice.sample_seed == study.evaluation.sample_seed:
        raise LrcoreError(
            f"choice.sample_seed {choice.sample_seed} is evaluation's: the samples that chose would be measured again"
        )
    plain = {cell.ae for cell in study.cells if (cell.repa, cell.train_seed, cell.width, cell.skip) ==
             (NO_REPA, study.seed, 0, NO_SKIP)}  # fmt: skip
    for ae in choice.ae:
        if ae not in plain:
            raise LrcoreError(
                f"choice.ae names '{ae}', of which no [[grid]] has a training without REPA, with the study's seed and "
                "the model's own width: there is nothing to choose from"
            )


def _check_data(data: Data) -> None:
    """That the keys of [data] are those that its dataset uses."""
    _one_of("dataset", data.dataset, DATASETS)
    _one_of("value of data.unreadable", data.unreadable, UNREADABLE)
    used = DATASETS[data.dataset]
    for key in ("path", "validation_path"):
        if key in used and not getattr(data, key):
            wanted = "the pattern of the shards" if "validation_path" in used else "the folder with the images"
            raise LrcoreError(f"data.{key} is missing: dataset '{data.dataset}' needs {wanted}")
    for field in fields(data):
        if field.default is not MISSING and field.name not in used and getattr(data, field.name) != field.default:
            raise LrcoreError(
                f"data.{field.name} means nothing for dataset '{data.dataset}'; beside the numbers it takes: "
                f"{', '.join(used) or '(nothing)'}"
            )


def _check_sampler(study: Study) -> None:
    from lrcore.flow.guidance import Guidance
    from lrcore.flow.sampling import SAMPLERS, sampler_grid

    evaluation = study.evaluation
    _one_of("sampler", evaluation.sampler, SAMPLERS)
    sampler_grid(evaluation.sampler, evaluation.sampling_steps, 1.0)
    if len(evaluation.guidance_interval) != 2:
        raise LrcoreError(
            f"evaluation.guidance_interval must be two times [low, high], got {list(evaluation.guidance_interval)}"
        )
    Guidance(evaluation.guidance, *evaluation.guidance_interval)
    if evaluation.guidance != 1 and study.training.class_dropout == 0:
        raise LrcoreError("evaluation.guidance other than 1 needs a training.class_dropout above 0")


def _check_bounds(study: Study) -> None:
    """Numbers that no stage could work with; the names are those of the file."""
    sections = ["data", "encoder", "training", "evaluation"]
    if study.autoencoder_training != NO_TRAINING:
        sections.append("autoencoder_training")
    for where in sections:
        section = getattr(study, where)
        for field in fields(section):
            value, name = getattr(section, field.name), f"{where}.{field.name}"
            least = LEAST.get(field.name, 1)
            if field.type == "int" and value < least:
                raise LrcoreError(f"{name} must be at least {least}, got {value}")
            if field.name in ("ema_decay", "class_dropout") and not 0 <= value < 1:
                raise LrcoreError(f"{name} must be from 0 to below 1, got {value}")
            if field.name == "learning_rate":
                _positive(name, (value,))
            if field.name == "self_gap" and not 0 <= value <= 1:
                raise LrcoreError(f"{name} must be from 0 to 1, got {value}")
            if field.name in ("lpips_weight", "gan_weight", "repa_weight", "self_weight") and not 0 <= value < math.inf:
                raise LrcoreError(f"{name} must be a number from 0, got {value}")


_TRAINED_KL = {"widths", "latent_channels", "layers_per_block", "patch", "kl_weight", "precision", "seed"}
_USED_KEYS = {
    ("trained", "kl"): _TRAINED_KL,
    ("trained", "flux2"): _TRAINED_KL | {"alignment_weight", "alignment_hidden"},
    ("trained", "rae"): {"decoder_width", "decoder_depth", "decoder_heads", "noise_tau", "precision", "seed"},
    ("pretrained", "kl"): {"pretrained", "subfolder", "revision", "precision", "patch"},
    ("pretrained", "flux2"): {"pretrained", "subfolder", "revision", "precision"},
    ("pretrained", "rae"): {"pretrained", "subfolder", "revision", "precision"},
    ("pretrained", "taef2"): {"size", "precision"},
    ("fitted", "patches"): {"patch", "coefficients"},
}


def _check_autoencoder(study: Study, ae: str) -> None:
    """That the keys of one autoencoder are those it uses, and its numbers such that it can be built."""
    from lrcore.autoencoders.custom import check_custom_name

    spec, name = study.autoencoders[ae], f"autoencoders.{ae}"
    if spec.origin == "custom":
        check_custom_name(spec.family)
    used = {"family"} | _USED_KEYS.get((spec.origin, spec.family), set())
    for field in fields(spec):
        if field.name not in used and getattr(spec, field.name) != field.default:
            raise LrcoreError(
                f"{name}.{field.name} means nothing for a {spec.origin} autoencoder of family '{spec.family}'; "
                f"its keys: {', '.join(sorted(used))}"
            )
    _one_of(f"value of {name}.precision", spec.precision, PRECISIONS)
    if spec.patch < 1:
        raise LrcoreError(f"{name}.patch must be at least 1, got {spec.patch}")
    if spec.family == "patches":
        _check_patches(spec, name, study.data.resolution)
    if spec.family == "taef2" and (spec.size < 8 or spec.size % 8):
        raise LrcoreError(f"{name}.size must be a multiple of 8 (64 for images of 32 px), got {spec.size}")
    if spec.origin != "trained":
        return
    if study.autoencoder_training == NO_TRAINING:
        raise LrcoreError(f"missing: autoencoder_training, by which '{ae}' is trained")
    _one_of("LPIPS network", study.autoencoder_training.lpips_net, ("vgg", "alex"))
    _one_of("value of autoencoder_training.precision", study.autoencoder_training.precision, PRECISIONS)
    if spec.family == "rae":
        _check_decoder(spec, name)
    else:
        _check_convolutions(spec, name, study.data.resolution)


def _check_patches(spec: AutoencoderSpec, name: str, resolution: int) -> None:
    from lrcore.autoencoders.base import token_grid

    pixels = 3 * spec.patch**2
    if not 0 <= spec.coefficients <= pixels:
        raise LrcoreError(
            f"{name}.coefficients must be 1 to {pixels}, the values of a patch, or 0 for its pixels as they are; got "
            f"{spec.coefficients}"
        )
    try:
        token_grid(resolution, 1, spec.patch)
    except LrcoreError as error:
        raise LrcoreError(f"{name}: {error}") from error


def _check_decoder(spec: AutoencoderSpec, name: str) -> None:
    if min(spec.decoder_width, spec.decoder_depth, spec.decoder_heads) < 1:
        raise LrcoreError(f"{name} needs decoder_width, decoder_depth and decoder_heads of at least 1")
    if spec.decoder_width % (4 * spec.decoder_heads):
        raise LrcoreError(f"{name}.decoder_width must be a multiple of 4 x decoder_heads")
    if spec.noise_tau < 0:
        raise LrcoreError(f"{name}.noise_tau must be a number from 0, got {spec.noise_tau}")


def _check_convolutions(spec: AutoencoderSpec, name: str, resolution: int) -> None:
    from lrcore.autoencoders.base import token_grid

    if not spec.widths or min(spec.widths) < 8 or any(width % 8 for width in spec.widths):
        raise LrcoreError(f"{name}.widths must be multiples of 8, at least one, got {list(spec.widths)}")
    if min(spec.latent_channels, spec.layers_per_block, spec.alignment_hidden) < 1:
        raise LrcoreError(f"{name} needs latent_channels, layers_per_block and alignment_hidden of at least 1")
    for key in ("kl_weight", "alignment_weight"):
        if not 0 <= getattr(spec, key) < math.inf:
            raise LrcoreError(f"{name}.{key} must be a number from 0, got {getattr(spec, key)}")
    try:
        token_grid(resolution, 2 ** (len(spec.widths) - 1), spec.patch)
    except LrcoreError as error:
        raise LrcoreError(f"{name}: {error}") from error


def _positive(name: str, values: tuple[float, ...]) -> None:
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise LrcoreError(f"{name} must be positive numbers, got {list(values)}")


def _one_of(kind: str, value: str, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if value not in names:
        raise unknown(kind, value, names)
