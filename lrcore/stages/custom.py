"""Stage: autoencoders of one's own, and what a run leaves of them for those that must not run their code.

A study that names a Python file is a study that runs code. A plan and a status are asked of studies that one has not
read, so they never import it: they go by `runs/<study>/custom/<ae>.json`, which the last run left.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.autoencoders.custom import code_fingerprint, custom_fingerprint, load_custom
from lrcore.autoencoders.normalised import has_posterior, seeing
from lrcore.errors import LrcoreError, naming
from lrcore.runtime.files import write_json
from lrcore.spec.study import AutoencoderSpec, written
from lrcore.stages.workspace import Workspace, recipe


class UnknownUntilRun(LrcoreError):
    """What is asked of an autoencoder of one's own takes importing it, which only a run does."""


@dataclass(frozen=True)
class Known:
    """An autoencoder of one's own as the last run found it: `code` and `fingerprint` of
    `lrcore.autoencoders.custom`; whether its latents may be stored, and whether they have a posterior."""

    code: str
    fingerprint: str
    latent: LatentShape
    cacheable: bool
    posterior: bool


def known(work: Workspace, ae: str) -> Known:
    """The autoencoder `ae`, loaded and tried out; or, where no code may run, as the last run found it.

    Raises:
        UnknownUntilRun: no code may run, and there was no run of the code as it is now.
        LrcoreError: it cannot be made, or does not keep to the interface.
    """
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    if not work.runs_code:
        left, code = _left(_path(work, ae)), _code(spec)
        if left is None or (left.code, left.latent.resolution) != (code, resolution):
            raise UnknownUntilRun(
                f"autoencoders.{ae}: unknown until run; '{written(spec.family)}' is code, which only a run imports"
            )
        return left
    if ae not in work.custom_known:
        made = load(work, ae)
        found = Known(
            _code(spec),
            custom_fingerprint(spec.family, made),
            made.shape,
            made.cacheable,
            has_posterior(made),
        )
        if _left(_path(work, ae)) != found:
            write_json(_path(work, ae), asdict(found))
        work.custom_known[ae] = found
    remembered: Known = work.custom_known[ae]
    return remembered


def _code(spec: AutoencoderSpec) -> str:
    """What is run, with which options, and for images of which size."""
    options, size = [recipe(spec.options)] if spec.options else [], [f"{spec.size} px"] if spec.size else []
    return " ".join([code_fingerprint(spec.family), *options, *size])


def load(work: Workspace, ae: str) -> Autoencoder:
    """The autoencoder `ae` for the study's images, on its device; its code is run once.

    Raises:
        UnknownUntilRun: no code may run.
        LrcoreError: it cannot be made, or does not keep to the interface.
    """
    spec = work.study.autoencoders[ae]
    if not work.runs_code:
        raise UnknownUntilRun(f"autoencoders.{ae}: '{written(spec.family)}' is code, which only a run imports")
    if ae not in work.custom_autoencoders:
        with naming(f"autoencoders.{ae}"):
            made = load_custom(spec.family, spec.size or work.study.data.resolution, spec.options)
        work.custom_autoencoders[ae] = seeing(made, work.study.data.resolution).to(work.device)
    return work.custom_autoencoders[ae]


def unknown_until_run(work: Workspace, ae: str) -> bool:
    """Whether nothing is known of `ae`, because no code may run."""
    if work.runs_code or work.study.autoencoders[ae].origin != "custom":
        return False
    try:
        known(work, ae)
    except UnknownUntilRun:
        return True
    return False


def _path(work: Workspace, ae: str) -> Path:
    return work.runs / "custom" / f"{ae}.json"


def _left(path: Path) -> Known | None:
    """What a run left; None where there was none, or its file is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(path.read_text())
        latent = found.pop("latent")
        grid = latent.pop("grid")
        return Known(**found, latent=LatentShape(**latent, grid=(int(grid[0]), int(grid[1]))))
    return None
