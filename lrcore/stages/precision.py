"""What a study computes in bfloat16, and whether this device should: nothing slow runs unasked."""

from __future__ import annotations

import dataclasses

import torch

from lrcore.errors import LrcoreError
from lrcore.runtime.bfloat16 import SLOW, bfloat16_slowdown
from lrcore.spec.study import Study
from lrcore.stages.todo import Todo


def in_precision(study: Study, asked: str | None) -> Study:
    """The study with all networks in float32 where that is asked for, another recipe where it says bfloat16."""
    if asked != "float32":
        return study
    return dataclasses.replace(
        study,
        autoencoders={ae: dataclasses.replace(spec, precision="float32") for ae, spec in study.autoencoders.items()},
        autoencoder_training=dataclasses.replace(study.autoencoder_training, precision="float32"),
        training=dataclasses.replace(study.training, precision="float32"),
    )


def bfloat16_keys(study: Study, todo: Todo) -> list[str]:
    """The keys of the study that say bfloat16 of networks which `todo` runs."""
    precisions = {
        **({"autoencoder_training.precision": study.autoencoder_training.precision} if todo.train else {}),
        **{f"autoencoders.{ae}.precision": study.autoencoders[ae].precision for ae in todo.measured},
        **({"training.precision": study.training.precision} if todo.generate or todo.choose or todo.show else {}),
    }
    return [key for key, precision in precisions.items() if precision == "bfloat16"]


def require_quick_precision(study: Study, todo: Todo, device: torch.device) -> None:
    """
    Raises:
        LrcoreError: what is left to do is in bfloat16, which `device` computes several times as slowly as float32.
    """
    keys = bfloat16_keys(study, todo)
    if keys and (slowdown := bfloat16_slowdown(device)) >= SLOW:
        raise LrcoreError(
            f"{' and '.join(keys)} 'bfloat16': this device ({device.type}) takes {slowdown:.0f} times as long as for "
            "float32. --precision float32 runs the study in float32, which is another recipe: its rows "
            "replace those in bfloat16. --precision study runs it as it says"
        )
