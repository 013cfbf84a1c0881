"""The sections of a report, in order: each is drawn by the site's figures from what rows there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import best, crops, curves, denoising, learnability, pairs, share_tradeoff
from lrcore.figures.embed import Embedded
from lrcore.figures.latents import latent_diagnostics
from lrcore.figures.reconstruction import STUDY_METRICS, latent_sizes, study_reconstruction
from lrcore.figures.site_figure import SiteFigure
from lrcore.figures.spectra import channel_statistics, power_spectrum
from lrcore.figures.switch import Switch
from lrcore.figures.words import joined
from lrcore.metrics.gaussian_loss import GAUSSIAN_LOSS
from lrcore.report_pages import advice, card, learned, pictures, provenance
from lrcore.report_pages.blocks import Block, Figure, Html, Missing, Section, Table, Text
from lrcore.report_pages.caveats import undrawn
from lrcore.report_pages.subject import Subject
from lrcore.results import learnability as shares
from lrcore.results import naming
from lrcore.results.wording import labels
from lrcore.spec.study import NO_REPA

PICTURES = 1_200_000
"""Bytes of crops in a report, and as many of samples: what a mail takes beside the rest."""

MOST_CROPS = 4
MOST_REFERENCES = 4
"""Images, and references beside the report's autoencoder, of which crops are shown."""

METRICS_OF_SCATTER = ("lpips_vgg", "lpips_alex", "psnr", "ssim")
"""What fidelity is in the scatter: the first that was measured."""


def sections(subject: Subject) -> list[Section]:
    """All sections, also those of which nothing is measured: they say what measures it."""
    return [
        Section("reconstruction", "Reconstruction", _attempt(subject, "The table", _reconstruction)),
        Section("crops", "Images and their reconstructions", _attempt(subject, "Crops", _crops)),
        Section("latent", "The latent space", _attempt(subject, "The latent space", _latent)),
        Section("learned", "What was learned apart from the decoder: G", _attempt(subject, "G", _learned)),
        Section("noise_levels", "Loss by noise level", _attempt(subject, "The loss", _noise_levels)),
        Section("scatter", "Learnability against fidelity", _attempt(subject, "The scatter", _scatter)),
        Section("samples", "Samples", _attempt(subject, "Samples", _samples)),
        Section("curves", "Training", _attempt(subject, "Curves", _curves)),
        Section("timesteps", "Timesteps advised", _attempt(subject, "Advice", advice.timesteps)),
        Section("literature", "Latents like this in the literature", _attempt(subject, "The atlas", advice.literature)),
        Section("protocol", "Protocol and provenance", _attempt(subject, "The protocol", provenance.protocol)),
        Section("cite", "How to cite", provenance.cite(subject)),
    ]


def _attempt(subject: Subject, what: str, make: Callable[[Subject], tuple[Block, ...]]) -> tuple[Block, ...]:
    """The blocks, or why these rows allow none."""
    try:
        return make(subject)
    except LrcoreError as error:
        return (Missing(undrawn(what, error)),)


def _faint(subject: Subject) -> list[str]:
    """Names that figures draw lighter: those of the references."""
    return labels(subject.references)


def _views(subject: Subject, drawn: Embedded) -> list[Block]:
    """A figure, or those between which a page switches, one below the other."""
    views = drawn.choices.values() if isinstance(drawn, Switch) else [drawn]
    return [_figure(subject, view) for view in views if isinstance(view, SiteFigure)]


def _figure(subject: Subject, figure: SiteFigure) -> Figure:
    return Figure(figure, _faint(subject))


def _lacking(subject: Subject, rows: pandas.DataFrame, what: str, stage: str) -> list[Missing]:
    """What is said of autoencoders without such rows."""
    aes = subject.lacking(rows)
    if not aes:
        return []
    of = "" if aes == subject.own else f" of {', '.join(labels(aes))}"
    return [Missing(f"{what}{of} not measured yet.", subject.command(stage, aes))]


def _reconstruction(subject: Subject) -> tuple[Block, ...]:
    rows = subject.study.reconstruction
    rows = rows[rows["metric"].isin(STUDY_METRICS)]
    blocks: list[Block] = [*_lacking(subject, rows, "Reconstructions are", "reconstruction")]
    if len(rows):
        blocks += [Table(study_reconstruction(rows), subject.label if subject.ae else ""), _images_of(rows)]
    return tuple(blocks)


def _images_of(rows: pandas.DataFrame) -> Text:
    """How many images, of which size, and which networks look at them."""
    counts = " or ".join(f"{count:,}" for count in sorted(rows["n_images"].unique()))
    data = ", ".join(map(str, dict.fromkeys(rows["dataset"])))
    sizes = " or ".join(map(str, sorted(rows["resolution"].unique())))
    sets = rows[rows["metric"].isin(["rfid", "rfd", "rkid", "rkd"])]
    networks = "".join(
        f" {joined(list(dict.fromkeys(naming.metric_style(metric).label for metric in own['metric'])))} "
        f"{'are' if own['metric'].nunique() > 1 else 'is'} in the features of {network}."
        for network, own in sets.groupby("network", sort=False)
    )
    return Text(
        f"Of {counts} images of {data} at {sizes} px; ± is one standard error.{networks} "
        "The latent is the posterior's mode; images are rounded to 8 bits before they are compared.",
        {"n_images": [int(count) for count in sorted(rows["n_images"].unique())]},
    )


def _crops(subject: Subject) -> tuple[Block, ...]:
    folder = subject.imgs / subject.name
    aes, count = _pictured(subject, folder)
    if not count:
        said = f"There are no images with reconstructions of {subject.label} in imgs/ yet."
        return (Missing(said, subject.command("reconstruction")),)
    measured = crops.measured_crops(folder, aes, count)
    side_by_side = crops.zoomed_crops(subject.imgs, subject.name, aes, count).markup
    compared = crops.compared_crops(subject.imgs, subject.name, aes, count, first=subject.ae).markup
    shown = f'{side_by_side}<div class="lrcore-on-screen">{compared}</div>'
    inside = pictures.inlined(shown, "imgs/", subject.imgs)
    own = f"{subject.study.name}-crops"
    blocks: list[Block] = [Html(inside, own, measured)]
    if any(pictures.is_reduced(path) for path in _crop_files(folder, aes, count)):
        blocks.append(Text("Pictures of more than 0.4 MB are reduced here; those in imgs/ have every pixel."))
    if left := [ae for ae in subject.aes if ae not in aes]:
        blocks.append(
            Text(f"Not shown here, for the size of this file or for lack of pictures: {', '.join(labels(left))}.")
        )
    return tuple(blocks)


def _pictured(subject: Subject, folder: Path) -> tuple[list[str], int]:
    """The autoencoders and the number of images of which crops are shown: as many as the file has room for."""
    own = [ae for ae in subject.own if _numbers(folder, [ae])]
    if not own:
        return [], 0
    others = [ae for ae in subject.references if _numbers(folder, [ae])][:MOST_REFERENCES]
    aes = naming.in_order([*own[: 1 + MOST_REFERENCES], *others])
    while True:
        count = min(MOST_CROPS, _numbers(folder, aes))
        while count > 1 and _bytes(folder, aes, count) > PICTURES:
            count -= 1
        if count and (_bytes(folder, aes, count) <= PICTURES or len(aes) == 1):
            return aes, count
        aes = [ae for ae in aes if ae != next(one for one in reversed(aes) if one != own[0])]


def _numbers(folder: Path, aes: list[str]) -> int:
    """Of how many images, from the first, there are the original and the reconstructions."""
    count = 0
    while all((folder / f"{name}-{count:02d}.png").is_file() for name in (crops.ORIGINAL, *aes)):
        count += 1
    return count


def _crop_files(folder: Path, aes: list[str], count: int) -> list[Path]:
    return [folder / f"{name}-{number:02d}.png" for name in (crops.ORIGINAL, *aes) for number in range(count)]


def _bytes(folder: Path, aes: list[str], count: int) -> int:
    return sum(pictures.size(path) for path in _crop_files(folder, aes, count))


def _latent(subject: Subject) -> tuple[Block, ...]:
    rows = subject.study.latents
    blocks: list[Block] = []
    if subject.ae:
        if subject.ae in card.sizes(subject):
            blocks.append(Table(card.card(subject)))
    else:
        if len(subject.study.reconstruction):
            blocks.append(Table(latent_sizes(subject.study.reconstruction)))
        if len(rows):
            blocks.append(Table(latent_diagnostics(rows)))
    if len(rows):
        if (rows["metric"] == "spectrum_power").any():
            blocks.append(_figure(subject, power_spectrum(rows)))
        if rows["metric"].isin(["channel_std", "channel_kurtosis"]).any():
            blocks.append(_figure(subject, channel_statistics(rows)))
    lacking = _lacking(subject, rows, "Diagnostics of the latent space are", "diagnostics")
    blocks += lacking
    if not lacking and (unmeasured := card.unmeasured(subject)):
        said = f"Not in these rows: {', '.join(unmeasured)}."
        blocks.append(Missing(said, subject.command("diagnostics")))
    return tuple(blocks)


def _learned(subject: Subject) -> tuple[Block, ...]:
    study = subject.study
    trainings = shares.learned(study) if len(study.generation) else study.generation
    blocks: list[Block] = []
    if len(trainings):
        blocks.append(
            Text(
                "G is the share of what a Gaussian of the latents leaves that the transformer learned: 1 where samples "
                "are as good as reconstructions, 0 where they are no better than decoded Gaussian latents."
            )
        )
        blocks.append(Table(learned.table(study, learned.shares(study)), subject.label if subject.ae else ""))
        blocks += _views(subject, learnability.apart_from_decoder(study))
    if subject.lacking(trainings):
        blocks.append(_no_share(subject))
    return tuple(blocks)


def _no_share(subject: Subject) -> Missing:
    """Why there is no G, by what there is."""
    study, planned = subject.study, subject.planned
    if lacking := subject.lacking(study.generation):
        said = f"G of {', '.join(labels(lacking))} needs a transformer and anchors, which were not measured yet."
        return Missing(said, subject.command("all", lacking))
    chosen = {ae for choice in planned.choice for ae in choice.ae} if planned else set()
    if (again := [ae for ae in subject.own if ae in chosen]) and not subject.lacking(study.confirmed):
        again = []
    if again:
        said = "The samples of the grid were not compared with reconstructions; those of the chosen settings will be."
        return Missing(said, subject.command("choice", again))
    samples, images = int(study.generation["n_samples"].min()), study.reconstruction["n_images"].max()
    if samples > images:
        return Missing(
            f"There are {images:,} test images and {samples:,} samples: G needs as many, data.validation_images = "
            f"{samples} or evaluation.n_samples = {int(images)}."
        )
    return Missing(
        "The samples were measured before lrcore compared them with reconstructions. Move "
        f"data/generation/study={subject.name} away, and they are measured anew.",
        subject.command("all"),
    )


def _noise_levels(subject: Subject) -> tuple[Block, ...]:
    study = subject.study
    losses = study.losses[study.losses["repa"] == NO_REPA]
    bounds = study.latents[study.latents["metric"] == GAUSSIAN_LOSS]
    both = set(losses["ae"]) & set(bounds["ae"])
    blocks: list[Block] = []
    if both and len(study.generation):
        blocks.append(_figure(subject, denoising.loss_over_gaussian(study)))
    elif both:
        said = "There are losses, but no evaluation yet that says of which images they are."
        blocks.append(Missing(said, subject.command("all")))
    for ae in (ae for ae in subject.own if ae not in both):
        trained, label = ae in set(losses["ae"]), naming.ae_style(ae).label
        said = f"The loss of a linear denoiser is not measured yet for {label}."
        if not trained:
            said = f"No training of {label} without REPA has a loss yet."
        blocks.append(Missing(said, subject.command("diagnostics" if trained else "all", [ae])))
    return tuple(blocks)


def _scatter(subject: Subject) -> tuple[Block, ...]:
    study = subject.study
    metric = next((one for one in METRICS_OF_SCATTER if one in set(study.reconstruction["metric"])), "")
    blocks: list[Block] = []
    if len(study.generation) and metric:
        blocks += _views(subject, share_tradeoff.tradeoff_of(study, metric))
    blocks += _lacking(subject, study.generation, "Distances of samples are", "all")
    if not metric:
        blocks += _lacking(subject, study.reconstruction, "Reconstructions are", "reconstruction")
    return tuple(blocks)


def _samples(subject: Subject) -> tuple[Block, ...]:
    sheets = pairs.sheets(subject.imgs, subject.name, subject.own)
    room, kept = PICTURES, []
    for sheet in sheets:
        if (need := pictures.size(sheet.path)) <= room:
            room -= need
            kept.append(sheet)
    blocks: list[Block] = []
    if kept:
        shown = pairs.sheets_shown(kept, subject.name)
        name = f"{subject.study.name}-samples"
        rows = pandas.DataFrame([{"file": sheet.path.name, **sheet.said} for sheet in kept])
        blocks.append(Html(pictures.inlined(shown.markup, "imgs/", subject.imgs), name, rows))
    if len(kept) < len(sheets):
        left = ", ".join(sheet.path.name for sheet in sheets if sheet not in kept)
        blocks.append(Text(f"For the size of this file these pictures of samples stay in imgs/: {left}."))
    there = {sheet.said["ae"] for sheet in sheets}
    if aes := [ae for ae in subject.own if ae not in there]:
        of = "" if aes == subject.own else f" of {', '.join(labels(aes))}"
        blocks.append(Missing(f"There are no pictures of samples{of} in imgs/ yet.", subject.command("samples", aes)))
    return tuple(blocks)


def _curves(subject: Subject) -> tuple[Block, ...]:
    rows = subject.study.generation
    own = rows[rows["ae"].isin(subject.own)]
    blocks: list[Block] = []
    if own["step"].nunique() > 1:
        blocks.append(Figure(curves.distance_over_steps(own, subject.study.noise)))
    elif len(own):
        blocks.append(Text(f"The study looks at one step, {int(own['step'].iloc[0]):,}, so there is no curve."))
    if len(own):
        blocks.append(Table(best.best_parameters(own), subject.label if subject.ae else ""))
    blocks += _lacking(subject, rows, "Trainings are", "all")
    if left := _trainings_left(subject):
        done, wanted = left
        said = f"{done:,} of {wanted:,} trainings of the study's grid have rows at its last step."
        blocks.append(Missing(said, subject.command("all")))
    return tuple(blocks)


def _trainings_left(subject: Subject) -> tuple[int, int] | None:
    """Of the trainings that the study's file asks for: how many have rows at the last step, where not all or none."""
    if subject.planned is None:
        return None
    rows = subject.study.generation
    rows = rows[rows["step"] == subject.planned.training.evaluate_at[-1]]
    keys = ["ae", "repa", "trainp", "trainshift", "train_seed"]
    there = set(rows[keys].itertuples(index=False, name=None))
    cells = [
        cell for cell in subject.planned.cells if cell.ae in subject.own and not cell.width and cell.skip == "none"
    ]
    done = sum((cell.ae, cell.repa, cell.trainp, cell.trainshift, cell.train_seed) in there for cell in cells)
    return (done, len(cells)) if 0 < done < len(cells) else None
