"""Stage: the autoencoders of a study; those that it trains are trained first where they are absent."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrcore.assets import pretrained
from lrcore.autoencoders import by_class, flux2, kl, rae, taef2
from lrcore.autoencoders.adversarial import adversary_of
from lrcore.autoencoders.base import Autoencoder, CollapsedError
from lrcore.autoencoders.loading import load_model, stored_class, stored_config
from lrcore.autoencoders.normalised import Normalised, seeing, tried
from lrcore.autoencoders.objectives import (
    AlignedKLObjective,
    AutoencoderObjective,
    KLObjective,
    RaeObjective,
    ReconstructionLoss,
)
from lrcore.autoencoders.patch_autoencoder import PatchAutoencoder, patch_moments
from lrcore.autoencoders.stored_config import check_config
from lrcore.datasets.images import to_float
from lrcore.encoders.loading import load_encoder
from lrcore.errors import LrcoreError, naming
from lrcore.runtime.ahead import Ahead
from lrcore.runtime.files import atomic_folder, exclusive, sha256_of
from lrcore.runtime.heartbeat import autoencoder_unit
from lrcore.runtime.seeds import batch_indices, generator
from lrcore.runtime.tensor_files import add_digests, load_tensors, require_whole, save_tensors, tensor_files
from lrcore.spec.study import AutoencoderSpec, written
from lrcore.stages import custom
from lrcore.stages.features import cached_tensor, features_recipe, training_features
from lrcore.stages.workspace import Workspace, recipe
from lrcore.training.checkpoints import TrainingState
from lrcore.training.loop import DivergedError, LoopSettings, resume, train

# diffusers is imported where a network is made or loaded: it takes seconds, which a study without any, a plan and a
# status would wait for
if TYPE_CHECKING:
    from lrcore.autoencoders.rae_decoder import TimmRaeDecoder

RAE_DECODER = "TimmRaeDecoder"
"""The class of the decoders that studies of the family "rae" train."""

CLASSES = {
    "kl": ("AutoencoderKL",),
    "flux2": ("AutoencoderKLFlux2",),
    "rae": ("AutoencoderRAE", RAE_DECODER),
}
"""What the `config.json` of a pretrained autoencoder names, by family; of "diffusers" any of `by_class.CLASSES`."""


class AutoencoderDivergedError(LrcoreError):
    """The training of an autoencoder diverged: nothing can be measured in its latent space."""


def autoencoder_recipe(work: Workspace, ae: str) -> str:
    """What the latents of the training images depend on; found out once, since weights are read for it.

    Raises:
        LrcoreError: a custom autoencoder cannot be made.
    """
    if ae not in work.autoencoder_recipes:
        work.autoencoder_recipes[ae] = _recipe(work, ae)
    return work.autoencoder_recipes[ae]


def _recipe(work: Workspace, ae: str) -> str:
    spec = work.study.autoencoders[ae]
    if spec.origin == "trained":
        return recipe(_training_recipe(work, ae), spec.precision, *filter(None, [spec.normalise]))
    return recipe(spec, _behind(work, ae), work.data_recipe)


def _behind(work: Workspace, ae: str) -> str:
    """What an autoencoder that is not trained here is, beside what the study says of it."""
    spec = work.study.autoencoders[ae]
    if spec.origin == "custom":
        return custom.known(work, ae).fingerprint
    if spec.family == "taef2":
        return taef2.fingerprint()
    return "" if spec.origin == "fitted" else _weights_fingerprint(spec)


def autoencoder_folder(work: Workspace, ae: str) -> Path:
    """Where the weights of a trained autoencoder are, or will be once it is trained, in diffusers' layout."""
    kept = kept_folder(work, ae)
    return kept if kept.exists() else work.runs / "autoencoders" / kept.name


def kept_folder(work: Workspace, ae: str) -> Path:
    """Where they are beside the data, if somebody put them there (`python -m lrcore.train_autoencoder --keep`)."""
    name = f"{ae}-{_training_recipe(work, ae)}"
    return work.folders.data / "autoencoders" / f"study={work.study.name}" / name


def training_checkpoint(work: Workspace, ae: str) -> Path:
    """The file of the whole state of an autoencoder's training."""
    folder = autoencoder_folder(work, ae)
    return folder.with_name(f"{folder.name}.training.safetensors")


def needs_training(work: Workspace, ae: str) -> bool:
    """Whether `ae` is one that the study trains and has not yet."""
    return work.study.autoencoders[ae].origin == "trained" and not autoencoder_folder(work, ae).exists()


def require_pretrained(work: Workspace, ae: str) -> None:
    """Check that a pretrained autoencoder can be had and takes the study's images, before hours go into others.

    Raises:
        LrcoreError: it cannot, with how to supply it by hand; or its config says that it cannot be used.
    """
    spec = work.study.autoencoders[ae]
    resolution = spec.size or work.study.data.resolution
    if not spec.pretrained:
        return
    with naming(f"autoencoders.{ae}"):
        config = stored_config(spec.pretrained, spec.subfolder, spec.revision)
        if spec.family == "diffusers":
            by_class.check(config, written(spec.pretrained), resolution, spec.patch)
            return
        found, wanted = str(config.get("_class_name", "model without a class name")), CLASSES[spec.family]
        if found not in wanted:
            raise LrcoreError(
                f"'{written(spec.pretrained)}' holds a {found}; allowed for family '{spec.family}': "
                f"{' or '.join(wanted)}"
            )
        if found != RAE_DECODER:
            check_config(config, spec.family, resolution, spec.patch)
        elif config.get("resolution") != resolution:
            raise LrcoreError(f"this decoder makes images of {config.get('resolution')} px, here it has {resolution}")


def ensure_autoencoder(work: Workspace, ae: str) -> Autoencoder:
    """The autoencoder `ae` on the device of the study; trained first where need be, from its checkpoint if any.

    The last one asked for stays in memory.

    Raises:
        LrcoreError: it cannot be had, made or trained; with what is wrong.
    """
    if ae not in work.loaded_autoencoder:
        work.loaded_autoencoder.clear()
        work.loaded_autoencoder[ae] = _obtained(work, ae)
    # each time, since what is loaded is shared with workspaces that stop together with others
    work.loaded_autoencoder[ae].before_chunk = work.check
    return work.loaded_autoencoder[ae]


def _obtained(work: Workspace, ae: str) -> Autoencoder:
    found, by = as_it_comes(work, ae), work.study.autoencoders[ae].normalise
    if by:
        found = Normalised(tried(found), by).to(work.device)
    if isinstance(found, Normalised) and not found.measured:
        with naming(f"autoencoders.{ae}"):
            _measure_normalisation(work, ae, found)
    return found


def _measure_normalisation(work: Workspace, ae: str, autoencoder: Normalised) -> None:
    """Give it the statistics of the training images: those of an earlier run, if there was one."""
    path = normalisation_path(work, ae)
    if not path.exists():
        with exclusive(path, work.check):
            if not path.exists():
                autoencoder.before_chunk = work.check
                autoencoder.measure(work.images.train.images)
                save_tensors(path, autoencoder.statistics)
                images = f"{int(autoencoder.images):,} training images"
                print(f"latents of '{ae}': normalised by {autoencoder.by}, from {images}", file=sys.stderr, flush=True)
                return
    autoencoder.use(load_tensors(path))


def normalisation_path(work: Workspace, ae: str) -> Path:
    """Where the statistics are kept by which a study normalises the latents of `ae`."""
    return work.runs / "autoencoders" / f"normalised-{ae}-{autoencoder_recipe(work, ae)}.safetensors"


def as_it_comes(work: Workspace, ae: str) -> Autoencoder:
    """The autoencoder `ae` without the normalisation that the study asks for; else as `ensure_autoencoder`."""
    spec = work.study.autoencoders[ae]
    if spec.origin == "custom":
        return custom.load(work, ae)
    if spec.origin == "fitted":
        return _patches(work, spec).to(work.device)
    if spec.family == "taef2":
        return _taef2(work, ae).to(work.device)
    if spec.origin == "pretrained":
        with naming(f"autoencoders.{ae}"):
            return seeing(_pretrained(work, spec), work.study.data.resolution).to(work.device)
    folder = autoencoder_folder(work, ae)
    if folder == kept_folder(work, ae):
        return _trained(work, spec, folder).to(work.device)
    checkpoint = training_checkpoint(work, ae)
    if not folder.exists() or checkpoint.exists():
        with exclusive(folder, waiting=work.check):
            if not folder.exists():
                _train(work, ae, folder, checkpoint)
            checkpoint.unlink(missing_ok=True)
    return _trained(work, spec, folder).to(work.device)


def _training_recipe(work: Workspace, ae: str) -> str:
    """What the trained weights depend on."""
    study = work.study
    spec = dataclasses.replace(study.autoencoders[ae], precision="float32", normalise="")
    settings = dataclasses.replace(study.autoencoder_training, checkpoint_every=1)
    features = features_recipe(work) if uses_features(spec) else ""
    return recipe(ae, spec, settings, study.seed, work.data_recipe, features)


def _patches(work: Workspace, spec: AutoencoderSpec) -> Autoencoder:
    path = work.runs / "autoencoders" / f"patches-{recipe(spec.patch, work.data_recipe)}.safetensors"

    def measure() -> Tensor:
        return patch_moments(work.images.train.images, spec.patch, work.check)

    moments = cached_tensor(path, measure, work.check)
    return PatchAutoencoder(moments, work.study.data.resolution, spec.patch, spec.coefficients)


def _taef2(work: Workspace, ae: str) -> Autoencoder:
    spec, networks = work.study.autoencoders[ae], taef2.load_networks()

    def made(moments: Tensor) -> taef2.Taef2Autoencoder:
        return taef2.Taef2Autoencoder(*networks, work.study.data.resolution, spec.size, moments, spec.precision)

    def measure() -> Tensor:
        raw = made(torch.tensor([0.0, 1.0])).to(work.device)
        raw.before_chunk = work.check
        return taef2.measured_moments(raw, work.images.train.images)

    return made(cached_tensor(taef2_moments_path(work, ae), measure, work.check))


def taef2_moments_path(work: Workspace, ae: str) -> Path:
    """Where the moments are kept that normalise the latents of one of the family "taef2"."""
    return work.runs / "autoencoders" / f"taef2-{autoencoder_recipe(work, ae)}.safetensors"


def _weights_fingerprint(spec: AutoencoderSpec) -> str:
    """The sha256 of a local model's files; the hub's id and revision of one that diffusers fetches."""
    folder = Path(spec.pretrained) / spec.subfolder
    if not folder.is_dir():
        return f"{spec.pretrained}@{spec.revision}"
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors")]
    return " ".join(sha256_of(path) for path in files)


def _pretrained(work: Workspace, spec: AutoencoderSpec) -> Autoencoder:
    import diffusers

    from lrcore.autoencoders.rae_decoder import TimmRaeDecoder

    resolution = spec.size or work.study.data.resolution

    def load(model_class: Any) -> Any:
        return load_model(model_class, spec.pretrained, spec.subfolder, spec.revision, spec.variant)

    if spec.family == "diffusers":
        name = stored_class(spec.pretrained, spec.subfolder, spec.revision)
        found = by_class.supported(name, written(spec.pretrained))
        return found.make(load(by_class.model_class(name)), resolution, spec.patch, spec.precision)
    if spec.family == "kl":
        return kl.KLAutoencoder(load(diffusers.AutoencoderKL), resolution, spec.patch, spec.precision)
    if spec.family == "flux2":
        return flux2.Flux2Autoencoder(load(diffusers.AutoencoderKLFlux2), resolution, spec.precision)
    if stored_class(spec.pretrained, spec.subfolder, spec.revision) == RAE_DECODER:
        decoder = load(TimmRaeDecoder)
        wanted, own = decoder.config, work.study.encoder
        encoder = load_encoder(wanted.encoder, wanted.encoder_size, own.weights if own.name == wanted.encoder else "")
        return rae.TimmRaeAutoencoder(decoder, encoder, spec.precision)
    return rae.RaeAutoencoder(load(diffusers.AutoencoderRAE), resolution, spec.precision)


def _trained(work: Workspace, spec: AutoencoderSpec, folder: Path) -> Autoencoder:
    import diffusers

    from lrcore.autoencoders.rae_decoder import TimmRaeDecoder

    resolution = work.study.data.resolution
    for file in tensor_files(folder):
        require_whole(file, f"`rm -r {shlex.quote(str(folder))}`, then the same command trains it again")
    if spec.family == "kl":
        return kl.KLAutoencoder(load_model(diffusers.AutoencoderKL, folder), resolution, spec.patch, spec.precision)
    if spec.family == "flux2":
        return flux2.Flux2Autoencoder(load_model(diffusers.AutoencoderKLFlux2, folder), resolution, spec.precision)
    return rae.TimmRaeAutoencoder(load_model(TimmRaeDecoder, folder), work.encoder, spec.precision)


def uses_features(spec: AutoencoderSpec) -> bool:
    """Whether its training needs the frozen encoder's features."""
    return spec.family == "rae" or spec.alignment_weight > 0


def _train(work: Workspace, ae: str, folder: Path, checkpoint: Path) -> None:
    settings, spec = work.study.autoencoder_training, work.study.autoencoders[ae]
    seed = work.study.seed + spec.seed
    images = work.images.train.images
    require_fit(work, ae)
    features = training_features(work) if uses_features(spec) else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "autoencoder", ae).initial_seed())
        objective = _objective(work, spec, features)
    state = TrainingState.start(objective.to(work.device), settings.learning_rate, settings.ema_decay)
    loop = LoopSettings((checkpoint,), settings.checkpoint_every, work.stop, work.on_steps)
    resume(state, loop)

    unit = autoencoder_unit(ae)

    def picked(step: int) -> Tensor:
        return batch_indices(seed, step, settings.batch_size, len(images))

    pixels = Ahead(lambda step: images[picked(step)])

    def loss_at(step: int) -> Tensor:
        work.heartbeats.beat(unit, step)
        batch = to_float(pixels(step).to(work.device))
        target = None if features is None else features[picked(step)].to(work.device)
        return objective.loss(batch, target, generator(seed, "autoencoder", ae, step), step)

    try:
        with contextlib.closing(pixels), work.heartbeats.of([unit], settings.steps):
            train(state, loss_at, settings.steps, loop)
    except DivergedError as error:
        message = f"autoencoder '{ae}' diverged ({error}): lower autoencoder_training.learning_rate"
        raise AutoencoderDivergedError(message) from error
    try:
        _finish(work, spec, state.averaged.model, folder)
    except CollapsedError as error:
        raise AutoencoderDivergedError(f"autoencoder '{ae}': {error}: lower its kl_weight") from error


def require_fit(work: Workspace, ae: str) -> None:
    """Check that the parts of an autoencoder's training fit together, before hours go into any.

    Raises:
        LrcoreError: they do not, or the encoder cannot be had.
    """
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    adversary_of(work.study.autoencoder_training, resolution)
    if spec.family == "rae" and resolution % work.encoder.grid:
        raise LrcoreError(
            f"autoencoders.{ae}: resolution {resolution} must be a multiple of the encoder's {work.encoder.grid} "
            "patches a side: change encoder.size"
        )


def _objective(work: Workspace, spec: AutoencoderSpec, features: Tensor | None) -> AutoencoderObjective:
    from lrcore.autoencoders import rae_decoder

    settings, resolution = work.study.autoencoder_training, work.study.data.resolution
    lpips = pretrained.lpips_metric(settings.lpips_net, weighted=True).to(work.device)
    reconstruction = ReconstructionLoss(lpips, settings.lpips_weight)
    adversary = adversary_of(settings, resolution)
    if features is None:
        small_model = kl.small_model if spec.family == "kl" else flux2.small_model
        return KLObjective(small_model(spec, resolution), spec, reconstruction, settings.precision, adversary)
    tokens, channels = features.shape[1:]
    if spec.family == "flux2":
        model = flux2.small_model(spec, resolution)
        return AlignedKLObjective(model, spec, reconstruction, channels, settings.precision, adversary)
    decoder = _rae_decoder(work, spec, math.isqrt(tokens), channels)
    rae_decoder.measure_normalisation(decoder, features)
    return RaeObjective(decoder, spec, reconstruction, settings.precision, adversary)


def _rae_decoder(work: Workspace, spec: AutoencoderSpec, grid: int, channels: int) -> TimmRaeDecoder:
    from lrcore.autoencoders.rae_decoder import TimmRaeDecoder

    encoder, resolution = work.encoder, work.study.data.resolution
    decoder: TimmRaeDecoder = TimmRaeDecoder(
        encoder=encoder.name,
        encoder_size=encoder.size,
        encoder_sha256=encoder.sha256,
        channels=channels,
        grid=grid,
        resolution=resolution,
        decoder_width=spec.decoder_width,
        decoder_depth=spec.decoder_depth,
        decoder_heads=spec.decoder_heads,
    )
    return decoder


def _finish(work: Workspace, spec: AutoencoderSpec, model: Any, folder: Path) -> None:
    """Measure the latent's normalisation and store the model; the folder appears whole or not at all."""
    resolution, images = work.study.data.resolution, work.images.train.images
    if spec.family == "kl":
        kl.measure_normalisation(model, images, resolution, work.check)
    elif spec.family == "flux2":
        flux2.measure_normalisation(model, images, work.check)
    with atomic_folder(folder) as partial:
        model.save_pretrained(partial, safe_serialization=True)
        for file in tensor_files(partial):
            add_digests(file)
