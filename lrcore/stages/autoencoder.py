"""Stage: train an autoencoder of the study, or load the one that is there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from lrcore import pretrained
from lrcore.autoencoders import flux2, kl, rae
from lrcore.autoencoders.base import Autoencoder
from lrcore.autoencoders.objectives import AlignedKLObjective, KLObjective, RaeObjective, ReconstructionLoss
from lrcore.checkpoints import TrainingState
from lrcore.errors import LrcoreError
from lrcore.files import exclusive
from lrcore.images import to_float
from lrcore.loop import DivergedError, LoopSettings, resume, train
from lrcore.seeds import batch_indices, generator
from lrcore.stages.features import features_recipe, training_features
from lrcore.stages.workspace import Workspace, recipe
from lrcore.studies import AutoencoderSpec


def autoencoder_recipe(work: Workspace, ae: str) -> str:
    """What the trained weights depend on."""
    study = work.study
    return recipe(ae, study.autoencoders[ae], study.autoencoder_training, study.seed, features_recipe(work))


def autoencoder_folder(work: Workspace, ae: str) -> Path:
    """Where the trained weights are kept, in diffusers' layout."""
    return work.runs / "autoencoders" / f"{ae}-{autoencoder_recipe(work, ae)}"


def ensure_autoencoder(work: Workspace, ae: str) -> Autoencoder:
    """The trained autoencoder `ae`, frozen; where it is absent it is trained first, from its checkpoint if any."""
    folder = autoencoder_folder(work, ae)
    checkpoint = folder.with_name(f"{folder.name}.training.safetensors")
    with exclusive(folder):
        if not folder.exists():
            _train(work, ae, folder, checkpoint)
        checkpoint.unlink(missing_ok=True)
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    if spec.family == "kl":
        return kl.KLAutoencoder.load(folder, resolution, spec.patch)
    if spec.family == "flux2":
        return flux2.Flux2Autoencoder.load(folder, resolution)
    return rae.RaeAutoencoder.load(folder, work.encoder)


def _train(work: Workspace, ae: str, folder: Path, checkpoint: Path) -> None:
    settings, seed = work.study.autoencoder_training, work.study.seed
    images, features = work.images.train.images, training_features(work)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "autoencoder", ae).initial_seed())
        objective = _objective(work, work.study.autoencoders[ae], features)
    state = TrainingState.start(objective, settings.learning_rate, settings.ema_decay)
    loop = LoopSettings(checkpoint, settings.checkpoint_every, work.stop, work.on_steps)
    resume(state, loop)

    def loss_at(step: int) -> torch.Tensor:
        picked = batch_indices(seed, step, settings.batch_size, len(images))
        return objective.loss(to_float(images[picked]), features[picked], generator(seed, "autoencoder", ae, step))

    try:
        train(state, loss_at, settings.steps, loop)
    except DivergedError as error:
        raise LrcoreError(f"autoencoder '{ae}' diverged ({error}): lower autoencoder_training.learning_rate") from error
    _finish(work, ae, state.averaged.model, folder)


def _objective(work: Workspace, spec: AutoencoderSpec, features: torch.Tensor) -> KLObjective | RaeObjective:
    shared, resolution = work.study.autoencoder_training, work.study.data.resolution
    reconstruction = ReconstructionLoss(pretrained.lpips_metric(shared.lpips_net, weighted=True), shared.lpips_weight)
    if spec.family == "kl":
        return KLObjective(kl.small_model(spec, resolution), spec, reconstruction)
    tokens, channels = features.shape[1:]
    if spec.family == "flux2":
        model = flux2.small_model(spec, resolution)
        side = resolution // 2 ** (len(spec.widths) - 1) // spec.patch
        if side**2 != tokens:
            raise LrcoreError(
                f"alignment needs as many latent tokens as encoder patches: {side**2} tokens, {tokens} patches; "
                "change widths, patch or encoder.size"
            )
        return AlignedKLObjective(model, spec, reconstruction, channels)
    decoder = rae.TimmRaeDecoder(
        encoder=work.study.encoder.name,
        encoder_size=work.study.encoder.size,
        channels=channels,
        grid=int(tokens**0.5),
        resolution=resolution,
        decoder_width=spec.decoder_width,
        decoder_depth=spec.decoder_depth,
        decoder_heads=spec.decoder_heads,
    )
    rae.measure_normalisation(decoder, features)
    return RaeObjective(decoder, spec, reconstruction)


def _finish(work: Workspace, ae: str, model: Any, folder: Path) -> None:
    """Measure the latent's normalisation and store the model; the folder appears whole or not at all."""
    spec, resolution, images = work.study.autoencoders[ae], work.study.data.resolution, work.images.train.images
    if spec.family == "kl":
        kl.measure_normalisation(model, images, resolution, spec.patch)
    elif spec.family == "flux2":
        flux2.measure_normalisation(model, images, spec.patch)
    partial = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(partial, safe_serialization=True)
        partial.replace(folder)
    except (OSError, SafetensorError) as error:
        raise LrcoreError(f"cannot write '{folder}': {error}") from error
