"""Samples with and without REPA from the same seeds, as the stage `samples` of a study draws them.

    repa_pairs("imgs", "smoke", shown_aes("imgs", "smoke"), prefix="../")

What is shown of a picture, its setting and its seeds, is read from the picture itself (text of the PNG).
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from urllib.parse import quote

import pandas

from lrcore.datasets.images import UNREADABLE, open_image, png_text
from lrcore.errors import LrcoreError, reason
from lrcore.figures.comparison import Compared, Picture, comparison
from lrcore.figures.embed import Markup, csv_link
from lrcore.figures.site_figure import titled
from lrcore.results import naming
from lrcore.spec.study import NO_REPA, SELF_REPA

SAME = ("ae", "trainp", "trainshift", "sampleshift", "step", "train_seed", "sample_seed", "columns", "resolution")
"""What two pictures must say alike for REPA to be all that differs."""


@dataclass(frozen=True)
class Sheet:
    """A picture of samples: where it is, its size in pixels, and what it says of itself."""

    path: Path
    width: int
    height: int
    said: dict[str, str]


def shown_aes(imgs: Path | str, study: str) -> list[str]:
    """The autoencoders of which there are samples with and without REPA, in the order of the figures.

    A study without REPA, or one that is not done, has none.
    """
    said = [png_text(path) for path in (Path(imgs) / study / "samples").glob("*.png")]
    kinds = {(text.get("ae", ""), text.get("repa", NO_REPA) == NO_REPA) for text in said}
    return naming.in_order(ae for ae, without in kinds if not without and (ae, True) in kinds)


def repa_pairs(imgs: Path | str, study: str, aes: Sequence[str], prefix: str = "") -> Markup:
    """For each autoencoder its samples without REPA and with it, the same seed in the same place; and one comparison.

    Pictures are `<imgs>/<study>/samples/<ae>-<repa>.png`; `prefix` is as in `zoomed_crops`. With scripts a handle
    wipes between the two of a pair.

    Raises:
        LrcoreError: no autoencoders; a picture is missing, says nothing of its samples, or differs from its partner in
            more than REPA. It is named.
    """
    if not aes:
        raise LrcoreError("no rows: pairs of samples need at least one autoencoder")
    folder = Path(imgs) / study / "samples"
    pairs = [(without, repa) for ae in naming.in_order(aes) for without, repa in _pairs_of(folder, ae)]
    link = f"{prefix}imgs/{quote(study)}/samples"
    drawn = "".join(_pair(without, repa, link) for without, repa in pairs)
    rows = pandas.DataFrame([{"file": sheet.path.name, **sheet.said} for pair in pairs for sheet in pair])
    several = len({repa.said["repa"] for _, repa in pairs}) > 1
    compared = [_compared(without, repa, link, several) for without, repa in pairs]
    wiped = comparison(compared, "Autoencoder", "REPA")
    about = titled(
        "REPA is all that differs between the samples of a pair",
        "Samples without and with it, from the same noise and class, at the same place.",
    )
    return Markup(f'{about}<div class="lrcore-pairs">{drawn}{wiped}{csv_link(rows, f"{study}-samples")}</div>')


def sheets(imgs: Path | str, study: str, aes: Sequence[str]) -> list[Sheet]:
    """The pictures of samples of `aes`, with REPA or without: for each autoencoder that without it first.

    Raises:
        LrcoreError: one says nothing of its samples, or cannot be read. It is named.
    """
    found = [_sheet(path) for path in sorted((Path(imgs) / study / "samples").glob("*.png")) if png_text(path)]
    return [
        sheet
        for ae in naming.in_order(aes)
        for sheet in sorted(found, key=lambda sheet: sheet.said["repa"] != NO_REPA)
        if sheet.said["ae"] == ae
    ]


def sheets_shown(shown: Sequence[Sheet], study: str, prefix: str = "") -> Markup:
    """Pictures of `sheets`, those of one setting side by side; `prefix` is as in `zoomed_crops`."""
    link = f"{prefix}imgs/{quote(study)}/samples"
    groups: dict[str, list[Sheet]] = {}
    for sheet in shown:
        groups.setdefault(f"{_trained(sheet)}; seed {sheet.said['sample_seed']}", []).append(sheet)
    drawn = "".join(
        f'<div class="lrcore-pair" role="group" aria-label="{html.escape(_name(of_one[0]))}">'
        f"<p>{html.escape(setting)}</p>{''.join(_picture(sheet, link) for sheet in of_one)}</div>"
        for setting, of_one in groups.items()
    )
    return Markup(f'<div class="lrcore-pairs">{drawn}</div>')


def each_latent_space(shown: Sequence[Sheet], study: str, prefix: str = "") -> Markup:
    """Pictures of `sheets` without REPA, one for each autoencoder, side by side; `prefix` is as in `zoomed_crops`.

    Raises:
        LrcoreError: none is without REPA.
    """
    plain = [sheet for sheet in shown if sheet.said["repa"] == NO_REPA]
    if not plain:
        raise LrcoreError("no rows: no picture of samples without REPA")
    link = f"{prefix}imgs/{quote(study)}/samples"
    steps = " or ".join(f"{step:,}" for step in sorted({int(sheet.said["step"]) for sheet in plain}))
    about = titled(
        f"Samples in each latent space after {steps} steps",
        "At the best of all an autoencoder's own settings, without REPA. The first of one seed, none left out.",
    )
    drawn = "".join(f"<div>{_image(sheet, link)}<p>{html.escape(_name(sheet))}</p></div>" for sheet in plain)
    rows = pandas.DataFrame([{"file": sheet.path.name, **sheet.said} for sheet in plain])
    return Markup(f'{about}<div class="lrcore-samples">{drawn}</div>{csv_link(rows, f"{study}-samples")}')


def _pairs_of(folder: Path, ae: str) -> list[tuple[Sheet, Sheet]]:
    """The picture without REPA beside each with it: one for each encoder that the study aligns features to."""
    without = _sheet(folder / f"{ae}-{NO_REPA}.png")
    others = [path for path in sorted(folder.glob(f"{escape(ae)}-*.png")) if png_text(path).get("ae") == ae]
    found = [_sheet(path) for path in others if path != without.path]
    if not found:
        raise _missing(folder / f"{ae}-<encoder>.png")
    for sheet in found:
        _require_same(without, sheet)
    return [(without, sheet) for sheet in found]


def _sheet(path: Path) -> Sheet:
    if not path.is_file():
        raise _missing(path)
    said = png_text(path)
    if lacking := [name for name in (*SAME, "repa") if name not in said]:
        raise LrcoreError(
            f"'{path}' does not say what its samples are (no {', '.join(lacking)}): delete it and run "
            f"`python -m lrcore.train {path.parent.parent.name}` to make it anew"
        )
    try:
        with open_image(path) as image:
            return Sheet(path, image.width, image.height, said)
    except UNREADABLE as error:
        raise LrcoreError(f"picture '{path}' cannot be read ({reason(error)}): delete it") from error


def _missing(path: Path) -> LrcoreError:
    return LrcoreError(f"missing picture '{path}': run `python -m lrcore.train {path.parent.parent.name}` to make it")


def _require_same(without: Sheet, repa: Sheet) -> None:
    for name in SAME:
        if without.said[name] != repa.said[name]:
            raise LrcoreError(
                f"'{without.path}' and '{repa.path}' are no pair: their {name} differs, "
                f"{without.said[name]} and {repa.said[name]}"
            )
    if (without.width, without.height) != (repa.width, repa.height):
        sizes = [f"{sheet.width} x {sheet.height}" for sheet in (repa, without)]
        raise LrcoreError(f"'{repa.path}' is {sizes[0]} px, '{without.path.name}' {sizes[1]}")


def _pair(without: Sheet, repa: Sheet, link: str) -> str:
    name = _name(without)
    cells = _picture(without, link) + _picture(repa, link)
    caption = html.escape(_setting(repa))
    return f'<div class="lrcore-pair" role="group" aria-label="{html.escape(name)}"><p>{caption}</p>{cells}</div>'


def _picture(sheet: Sheet, link: str) -> str:
    return f"<div>{_image(sheet, link)} {naming.repa_label(sheet.said['repa'])}</div>"


def _image(sheet: Sheet, link: str) -> str:
    said = f"Samples in the latent space of {_name(sheet)} {naming.repa_label(sheet.said['repa'])}"
    return (
        f'<img src="{html.escape(f"{link}/{quote(sheet.path.name)}")}" width="{sheet.width}" '
        f'height="{sheet.height}" alt="{html.escape(said)}">'
    )


def _compared(without: Sheet, repa: Sheet, link: str, named: bool) -> Compared:
    """`named`: with what REPA aligns to, where pairs of several have to be told apart; all offer the same choice."""
    left = Picture(naming.repa_label(NO_REPA), f"{link}/{quote(without.path.name)}")
    right = Picture("with REPA", f"{link}/{quote(repa.path.name)}")
    label = f"{_name(without)}, {_target(repa)}" if named else _name(without)
    return Compared(label, without.width, without.height, left, (right,), caption=_setting(repa))


def _setting(repa: Sheet) -> str:
    return f"{_trained(repa)}; REPA towards {_target(repa)}; seed {repa.said['sample_seed']} for both"


def _trained(sheet: Sheet) -> str:
    said = sheet.said
    density = naming.DENSITY_LABELS.get(said["trainp"], said["trainp"])
    return (
        f"{_name(sheet)}: {density}, train shift {said['trainshift']}, sample shift {said['sampleshift']}, after "
        f"{int(said['step']):,} steps"
    )


def _target(sheet: Sheet) -> str:
    repa = sheet.said["repa"]
    return "itself" if repa == SELF_REPA else repa


def _name(sheet: Sheet) -> str:
    return naming.ae_style(sheet.said["ae"]).label
