"""As many tokens as those have that one compares with: images are resized inside an autoencoder that would have others.

A transformer's work, and what it can learn in a step, go with the number of tokens. A token of most autoencoders spans
so many pixels a side, downsampling times patch; so the number of tokens says which size of the images gives them. It
becomes the autoencoder's `size`, as a study may say it by itself, and so a part of its recipe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcore.autoencoders import by_class
from lrcore.autoencoders.custom import code_fingerprint, load_custom
from lrcore.autoencoders.loading import stored_config
from lrcore.autoencoders.stored_config import halvings
from lrcore.errors import LrcoreError, naming
from lrcore.runtime.files import write_json
from lrcore.spec.study import AutoencoderSpec, Study, written
from lrcore.stages.latent_shape import PUBLISHED_CHANNELS, PUBLISHED_STRIDE, latent_shape
from lrcore.stages.workspace import Workspace, recipe

STEPS = (8, 16, 32, 4, 2, 1, 64, 14, 28, 12, 24, 10, 20)
"""Pixels a side of a token that are tried of an autoencoder that cannot be made for the study's images."""

LARGEST = 2048
"""Pixels a side of images, as `studies.limits` has it."""


@dataclass(frozen=True)
class Matched:
    """A study whose autoencoders have the size that gives them the tokens wanted, and a line on each of them."""

    study: Study
    notes: dict[str, str]


def matched(work: Workspace, theirs: Counter[int]) -> Matched:
    """The study of `work` with sizes at which its autoencoders have one of the numbers of tokens in `theirs`.

    The commonest of these; another that an autoencoder has without resizing is as good. A size that the study's file
    says stays. Where no code may run, as for a plan, one of your own keeps the size that the last run found.

    Raises:
        LrcoreError: an autoencoder has that many tokens at no size; with what is possible.
    """
    autoencoders, notes = dict(work.study.autoencoders), {}
    for ae, spec in work.study.autoencoders.items():
        with naming(f"autoencoders.{ae}"):
            size = spec.size or _size(work, ae, theirs)
        if size is None:
            wanted = " or ".join(map(str, sorted(theirs)))
            notes[ae] = f"number of tokens unknown until run, since its code is not run here; they have {wanted}"
            continue
        autoencoders[ae] = dataclasses.replace(spec, size=size)
        notes[ae] = _note(work, ae, autoencoders[ae], spec.size > 0, theirs)
    return Matched(dataclasses.replace(work.study, autoencoders=autoencoders), notes)


def _note(work: Workspace, ae: str, spec: AutoencoderSpec, asked: bool, theirs: Counter[int]) -> str:
    resolution, wanted = work.study.data.resolution, " or ".join(map(str, sorted(theirs)))
    if not spec.size:
        return f"images of {resolution} px as they are give it {wanted} tokens, as they have"
    text = f"images of {resolution} px are resized to {spec.size} px inside"
    if not asked:
        return f"{text}, so that it has {_commonest(theirs)} tokens, as they have" + (
            "" if len(theirs) == 1 else f" most often, of {wanted}"
        )
    try:
        tokens = latent_shape(work, ae).tokens
    except LrcoreError:  # not known before a run
        return f"{text}, as its size says; they have {wanted} tokens"
    unlike = "" if tokens in theirs else ": not as much work for a transformer"
    return f"{text}, as its size says: {tokens} tokens; they have {wanted}{unlike}"


def _commonest(theirs: Counter[int]) -> int:
    return max(theirs, key=lambda tokens: (theirs[tokens], -tokens))


def _size(work: Workspace, ae: str, theirs: Counter[int]) -> int | None:
    """The size for one of the numbers of tokens in `theirs`, 0 for the images as they are; None: unknown until run."""
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    if spec.origin == "custom":
        return _size_of_custom(work, ae, theirs)
    if spec.family == "taef2":
        return spec.size
    if spec.origin == "pretrained":
        return _size_of_stored(spec, resolution, theirs)
    tokens = latent_shape(work, ae).tokens
    if tokens not in theirs:
        raise LrcoreError(_how_many(tokens, resolution, theirs) + f"; {_other_keys(spec, resolution, theirs)}")
    return 0


def _how_many(tokens: int, resolution: int, theirs: Counter[int]) -> str:
    return f"it has {tokens} tokens of an image of {resolution} px, where {_commonest(theirs)} are wanted"


def _other_keys(spec: AutoencoderSpec, resolution: int, theirs: Counter[int]) -> str:
    """Which keys give one that the study makes itself the number of tokens."""
    told = "images are not resized inside one that the study makes itself"
    side = math.isqrt(_commonest(theirs))
    if spec.family == "rae" or side**2 != _commonest(theirs) or resolution % side:
        return f"{told}, and it cannot have these"
    step = resolution // side
    if spec.family == "patches":
        return f"{told}: patch = {step} has them"
    ways = [
        f"patch = {2**power} with {halvings + 1} widths"
        for power in ([1] if spec.family == "flux2" else range(7))
        for halvings in range(12)
        if 2 ** (halvings + power) == step
    ]
    return f"{told}: {' or '.join(ways)} has them" if ways else f"{told}, and no patch and widths have these"


def _size_of_stored(spec: AutoencoderSpec, resolution: int, theirs: Counter[int]) -> int:
    """Of a model in diffusers' layout, by its config."""
    step, fixed = _step_of_stored(spec)
    if fixed is not None:
        size, tokens = fixed
        if tokens not in theirs:
            raise LrcoreError(_how_many(tokens, size, theirs) + "; it takes images of no other size")
        return 0 if size == resolution else size
    if resolution % step == 0 and (resolution // step) ** 2 in theirs:
        return 0
    tokens = _commonest(theirs)
    if math.isqrt(tokens) ** 2 != tokens or step * math.isqrt(tokens) > LARGEST:
        raise LrcoreError(_impossible(step, tokens))
    return step * math.isqrt(tokens)


def _step_of_stored(spec: AutoencoderSpec) -> tuple[int, tuple[int, int] | None]:
    """Pixels that a token spans a side; or, of a model that takes one size alone, (that size, its tokens)."""
    if spec.pretrained in PUBLISHED_CHANNELS and spec.family != "rae" and spec.patch == AutoencoderSpec.patch:
        return PUBLISHED_STRIDE, None
    config = stored_config(spec.pretrained, spec.subfolder, spec.revision)
    try:
        return _step_of_config(spec, config)
    except (TypeError, ValueError, IndexError) as error:
        raise LrcoreError(
            f"config.json of '{written(spec.pretrained)}' does not say what a token spans (patch_size, "
            f"block_out_channels, encoder_input_size): {error}"
        ) from error


def _step_of_config(spec: AutoencoderSpec, config: Mapping[str, Any]) -> tuple[int, tuple[int, int] | None]:
    family = spec.family
    if family == "diffusers":
        family = by_class.supported(str(config.get("_class_name")), written(spec.pretrained)).kind
    if family == "rae":
        if "grid" in config:  # of one that was trained here
            return 0, (int(config["resolution"]), int(config["grid"]) ** 2)
        side = int(config.get("encoder_input_size", 224)) // int(config.get("encoder_patch_size", 14))
        return 0, (int(config.get("image_size") or int(config.get("patch_size", 16)) * side), side**2)
    patch = int(config.get("patch_size", (2, 2))[0]) if family == "flux2" else spec.patch
    if family in ("kl", "flux2"):
        return 2 ** (len(config.get("block_out_channels", (0,))) - 1) * patch, None
    return 2 ** halvings(config, family) * patch, None


def _impossible(step: int, tokens: int) -> str:
    side = math.isqrt(tokens)
    near = [number for number in (side, side + 1) if number > 0 and number * step <= LARGEST]
    there = " and ".join(f"{number**2} at {number * step} px" for number in near)
    return (
        f"no size of the images gives it {tokens} tokens: a token spans {step} px a side, so that it has {there}; "
        "`size` under its table takes one of these"
    )


def _size_of_custom(work: Workspace, ae: str, theirs: Counter[int]) -> int | None:
    """Of one of your own: found by making it, and kept for those that must not run its code."""
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    path = work.runs / "custom" / f"{ae}-size.json"
    key = " ".join([code_fingerprint(spec.family), recipe(spec.options), str(resolution), str(sorted(theirs.items()))])
    left = _left(path, key)
    if not work.runs_code:
        return left
    found = _found(spec, resolution, theirs) if left is None else left
    if left is None:
        write_json(path, {"key": key, "size": found})
    return found


def _left(path: Path, key: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(path.read_text())
        return int(found["size"]) if found["key"] == key else None
    return None


def _found(spec: AutoencoderSpec, resolution: int, theirs: Counter[int]) -> int:
    """Makes it for images of one size after another, until it has the tokens."""
    errors: dict[int, str] = {}

    def tokens_at(size: int) -> int | None:
        try:
            return load_custom(spec.family, size, spec.options).shape.tokens
        except LrcoreError as error:
            errors[size] = str(error)
            return None

    own, wanted = tokens_at(resolution), _commonest(theirs)
    if own in theirs:
        return 0
    if own is None:
        return _tried(tokens_at, wanted, f"{errors[resolution]}. At other sizes it")
    size = math.isqrt(resolution**2 * wanted // own)
    if size**2 * own != resolution**2 * wanted or size > LARGEST:
        step = resolution // math.isqrt(own)
        raise LrcoreError(f"{_how_many(own, resolution, theirs)}; {_impossible(step, wanted)}")
    if (there := tokens_at(size)) == wanted:
        return size
    what = errors[size] if there is None else f"it has {there}"
    raise LrcoreError(
        f"{_how_many(own, resolution, theirs)}, and at {size} px, which should give them, {what}; `size` under its "
        "table takes any size at which it can be made"
    )


def _tried(tokens_at: Callable[[int], int | None], wanted: int, why: str) -> int:
    """The size at which it has so many tokens, of those that `STEPS` give."""
    side, found = math.isqrt(wanted), {}
    for step in STEPS if side**2 == wanted else ():
        size = step * side
        if size <= LARGEST and (tokens := tokens_at(size)) is not None:
            if tokens == wanted:
                return size
            found[size] = tokens
    possible = ", ".join(f"{tokens} at {size} px" for size, tokens in sorted(found.items()))
    raise LrcoreError(
        f"{why} does not have {wanted} tokens either" + (f" (it has {possible})" if found else "")
        + "; `size` under its table takes any size at which it can be made"
    )  # fmt: skip
