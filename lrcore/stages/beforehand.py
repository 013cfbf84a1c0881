"""What a study looks at before it begins: what it needs, which must not be missed hours later, and what it replaces."""

from __future__ import annotations

import sys
from pathlib import Path

from lrcore.assets import cache, table
from lrcore.autoencoders import taef2
from lrcore.records.paths import (
    anchors_folder,
    generation_folder,
    latents_folder,
    losses_folder,
    reconstruction_folder,
)
from lrcore.records.schema import AnchorRow, GenerationRow, LatentRow, LossRow, ReconstructionRow
from lrcore.records.writing import outdated_rows
from lrcore.spec.study import Study, needs_encoder
from lrcore.stages.anchors import anchors_recipe
from lrcore.stages.autoencoder import require_fit, require_pretrained, uses_features
from lrcore.stages.diagnostics import diagnostics_recipe
from lrcore.stages.evaluations import row_recipe
from lrcore.stages.latent_shape import require_wide_enough
from lrcore.stages.reconstruction import reconstruction_recipe
from lrcore.stages.reference import require_reference
from lrcore.stages.todo import Todo
from lrcore.stages.training import training_recipe
from lrcore.stages.workspace import Workspace


def prepare(work: Workspace, todo: Todo) -> None:
    """Fetch what is left to do needs, and say which rows it replaces.

    Raises:
        LrcoreError: something is missing, or does not fit together.
    """
    if outdated := rows_to_replace(work, todo):
        counted = ", ".join(f"{count} of {table}" for table, count in outdated.items())
        print(
            f"replaced on the way: rows of study '{work.study.name}' that are of another recipe, since what they "
            f"depend on has changed ({counted}); they are kept in '{work.folders.data / 'replaced'}'",
            file=sys.stderr,
        )
    for ae in todo.measured:
        require_pretrained(work, ae)
    for asset in assets_of(work.study, todo):
        cache.fetch(asset)
    for ae in todo.train:
        require_fit(work, ae)
    if todo.anchor or todo.generate or todo.choose:
        require_reference(work)
    require_wide_enough(work, {*(cell.ae for cell in todo.generate), *(task.ae for task in todo.choose)})


def rows_to_replace(work: Workspace, todo: Todo) -> dict[str, int]:
    """How many stored rows what is left to do replaces, by table: those of another recipe than the study's now.

    Trainings at the best settings are not counted: which they are is known when all others are done.
    """
    data, name, found = work.folders.data, work.study.name, dict[str, int]()

    def count(folder: Path, file: str, row: type, recipe: str) -> None:
        outdated = outdated_rows(folder / f"{file}.parquet", row, recipe)
        if outdated:
            found[folder.parent.name] = found.get(folder.parent.name, 0) + outdated

    for ae in todo.reconstruct:
        count(reconstruction_folder(data, name), ae, ReconstructionRow, reconstruction_recipe(work, ae))
    for ae in todo.diagnose:
        count(latents_folder(data, name), ae, LatentRow, diagnostics_recipe(work, ae))
    for ae in todo.anchor:
        count(anchors_folder(data, name), ae, AnchorRow, anchors_recipe(work, ae))
    for cell in todo.generate:
        count(generation_folder(data, name), cell.name, GenerationRow, row_recipe(work, cell))
        count(losses_folder(data, name), cell.name, LossRow, training_recipe(work, cell))
    return found


def assets_of(study: Study, todo: Todo) -> list[str]:
    """Names of what the work left reads of the cache, all of it fetched before any of it."""
    named = ["cifar10"] if study.data.dataset == "cifar10" else []
    with_features = [ae for ae in todo.train if uses_features(study.autoencoders[ae])]
    by_repa = any(map(needs_encoder, todo.repas))
    if with_features or by_repa or _has_trained_rae(study):
        named.append(study.encoder.name)
    if any(study.autoencoders[ae].family == "taef2" for ae in todo.measured):
        named += taef2.WEIGHTS
    if todo.train:
        named.append({"vgg": "lpips_vgg16", "alex": "lpips_alexnet"}[study.autoencoder_training.lpips_net])
    if todo.reconstruct:
        named += ["lpips_vgg16", "lpips_alexnet"]
    if todo.reconstruct or todo.diagnose or todo.anchor or todo.generate or todo.choose:
        named.append(study.evaluation.feature_network)
    return [name for name in dict.fromkeys(named) if name in table.ASSETS]


def _has_trained_rae(study: Study) -> bool:
    return any(spec.origin == "trained" and spec.family == "rae" for spec in study.autoencoders.values())
