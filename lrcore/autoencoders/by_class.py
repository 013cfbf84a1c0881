"""Pretrained autoencoders of the family "diffusers": the class that a `config.json` names says what is done with it.

    [autoencoders.sana]
    family = "diffusers"
    pretrained = "mit-han-lab/dc-ae-f32c32-sana-1.0-diffusers"
    patch = 1

Each class has its own normalisation, as diffusers' pipelines apply it:

| class | latent |
| --- | --- |
| AutoencoderKL | (mode - shift_factor) * scaling_factor, or by latents_mean and latents_std |
| AutoencoderKLFlux2 | patches of the mode, by the batch-norm statistics |
| AutoencoderKLQwenImage | (mode - latents_mean) / latents_std of the only frame |
| AutoencoderDC, AutoencoderTiny | (latent - shift_factor) * scaling_factor |
| AutoencoderRAE | its own statistics, inside `encode` |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lrcore.autoencoders import flux2, kl, qwen_image, rae, scaled
from lrcore.autoencoders.base import Autoencoder
from lrcore.autoencoders.stored_config import check_config
from lrcore.errors import LrcoreError
from lrcore.spec.study import AutoencoderSpec

SINCE = "0.37"
"""The first version of diffusers that has all of `CLASSES`."""


@dataclass(frozen=True)
class Supported:
    """What is known of a class before any of its models is loaded.

    `kind` is that of `stored_config.check_config`; `make` takes model, resolution, patch and precision. `own_patch`: a
    token is what the model says, and the study's `patch` means nothing. `posterior`: whether stored latents have a
    deviation; None where latents are not stored.
    """

    kind: str
    make: Callable[[Any, int, int, str], Autoencoder]
    posterior: bool | None
    own_patch: bool = False


CLASSES = {
    "AutoencoderKL": Supported("kl", kl.KLAutoencoder, True),
    "AutoencoderKLFlux2": Supported(
        "flux2",
        lambda model, resolution, _, precision: flux2.Flux2Autoencoder(model, resolution, precision),
        True,
        True,
    ),
    "AutoencoderRAE": Supported(
        "rae", lambda model, resolution, _, precision: rae.RaeAutoencoder(model, resolution, precision), None, True
    ),
    "AutoencoderTiny": Supported("tiny", scaled.ScaledAutoencoder, False),
    "AutoencoderDC": Supported("dc", scaled.ScaledAutoencoder, False),
    "AutoencoderKLQwenImage": Supported("qwen_image", qwen_image.QwenImageAutoencoder, True),
}
"""By the `_class_name` of `config.json`."""


def supported(name: str, where: str) -> Supported:
    """What is known of the class `name` of the model at `where`.

    Raises:
        LrcoreError: it is none of `CLASSES`.
    """
    if name not in CLASSES:
        raise LrcoreError(
            f"'{where}' holds a {name}, its config.json says in _class_name; allowed for family 'diffusers': "
            f"{', '.join(CLASSES)}; of any other class write a subclass of Autoencoder"
        )
    return CLASSES[name]


def check(config: Mapping[str, Any], where: str, resolution: int, patch: int) -> None:
    """Refuse a model by its config, before its weights are fetched.

    Raises:
        LrcoreError: its class is not supported or not installed, `patch` is given where it means nothing, or the config
            says that the model cannot be used: see `stored_config.check_config`.
    """
    name = str(config.get("_class_name", "model without a class name"))
    found = supported(name, where)
    model_class(name)
    if found.own_patch and patch != AutoencoderSpec.patch:
        raise LrcoreError(f"patch means nothing for {name}, whose tokens are its own, got {patch}: leave it out")
    check_config(config, found.kind, resolution, patch)


def model_class(name: str) -> Any:
    """The class `name` of diffusers.

    Raises:
        LrcoreError: the version that is installed has none of that name.
    """
    import diffusers

    found = getattr(diffusers, name, None)
    if found is None:
        raise LrcoreError(
            f"the installed diffusers {diffusers.__version__} has no {name}: it takes {SINCE} or later, "
            f"pip install 'diffusers>={SINCE}'"
        )
    return found
