"""What the rows say in two or three sentences: how faithful, how compact, how learnable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lrcore.errors import LrcoreError
from lrcore.figures import words
from lrcore.figures.learnability import best_and_least
from lrcore.report_pages import card, learned
from lrcore.report_pages.blocks import Text
from lrcore.report_pages.portable import portable
from lrcore.report_pages.subject import Subject
from lrcore.results import above_noise, findings, learnability, naming
from lrcore.results.numbers import aligned, shown, with_error
from lrcore.results.wording import compared_at

_NAMED = 3
"""So many autoencoders are named, and more are counted."""


def verdict(subject: Subject) -> list[Text]:
    """A sentence for each of the three that something is known of."""
    found = [text for told in (_faithful, _compact, _learnable) if (text := _told(subject, told))]
    return found or [Text(f"Nothing of {subject.label} is measured yet.")]


def _told(subject: Subject, told: Callable[[Subject], Text | None]) -> Text | None:
    """The sentence, or why these rows allow none."""
    try:
        return told(subject)
    except LrcoreError as error:
        return Text(f"{told.__name__.strip('_').capitalize()}: cannot be said yet, {portable(str(error))}.")


def _faithful(subject: Subject) -> Text | None:
    rows = subject.study.reconstruction
    for metric in ("psnr", "ssim", "lpips_vgg", "lpips_alex", "rfid", "rfd"):
        of_metric = rows[rows["metric"] == metric]
        values = findings.by_ae(of_metric, "value")
        if set(subject.own) & set(values):
            break
    else:
        return None
    errors = findings.by_ae(of_metric, "standard_error")
    look = naming.metric_style(metric)
    name, unit = words.bare(look.label), " dB" if metric == "psnr" else ""
    if not subject.ae:
        best = words.leaders(values, errors=errors, highest=look.higher_is_better)
        ends = f"{aligned(min(values.values()))} to {aligned(max(values.values()))}{unit}"
        lead = f"{words.named(best, len(values))} {'is' if len(best) == 1 else 'are'} the most faithful"
        if len(best) == len(values) > 1:
            lead = "no autoencoder is clearly more faithful than the others"
        text = f"Faithful: {lead} ({name} {ends})."
        return Text(text, {"faithful_by": metric, "most_faithful": best, metric: values})
    place = _place(subject, values, errors, look.higher_is_better)
    value = with_error(values[subject.ae], errors[subject.ae])
    text = f"Faithful: {subject.label} reconstructs with {name} {value}{unit}{place}."
    return Text(text, {"faithful_by": metric, metric: values[subject.ae]})


def _place(
    subject: Subject, values: Mapping[str, float], errors: Mapping[str, float], highest: bool, noise: float = math.nan
) -> str:
    """Where the report's autoencoder stands among the references, as the end of a sentence."""
    others = [ae for ae in values if ae != subject.ae and math.isfinite(values[ae])]
    if not others:
        return ""
    better = [ae for ae in others if _clearly(ae, subject.ae, values, errors, highest, noise)]
    worse = [ae for ae in others if _clearly(subject.ae, ae, values, errors, highest, noise)]
    if not better and not worse:
        return f", not clearly apart from {_references(len(others))}"
    if not better and len(worse) == len(others):
        return f", better than {_references(len(others))}"
    if not worse and len(better) == len(others):
        return f", worse than {_references(len(others))}"
    parts = [
        f"{said} {words.named(aes, 0) if len(aes) <= _NAMED else len(aes)}"
        for said, aes in (("better than", worse), ("worse than", better))
        if aes
    ]
    alike = len(others) - len(better) - len(worse)
    parts += [f"not clearly apart from {alike} of {len(others)}"] * bool(alike)
    return f", {', '.join(parts)}"


def _references(count: int) -> str:
    return "the other autoencoder" if count == 1 else f"all {count} other autoencoders"


def _clearly(
    first: str,
    second: str,
    values: Mapping[str, float],
    errors: Mapping[str, float],
    highest: bool,
    noise: float,
) -> bool:
    """Whether the first of two autoencoders is better by more than noise and errors."""
    pair = {ae: values[ae] for ae in (first, second)}
    return words.leaders(pair, noise, errors, highest) == [first]


def _compact(subject: Subject) -> Text | None:
    sizes = {ae: size for ae, size in card.sizes(subject).items() if ae in subject.own}
    if not sizes:
        return None
    numbers = {ae: size.numbers for ae, size in sizes.items()}
    if not subject.ae:
        ends = " to ".join(dict.fromkeys(f"{end:,}" for end in (min(numbers.values()), max(numbers.values()))))
        text = f"Compact: latents hold {ends} numbers for {next(iter(sizes.values())).pixels:,} pixel values."
        return Text(text, {"numbers": numbers})
    size = sizes[subject.ae]
    fewer = f" ({shown(size.compression)} times fewer)" if size.numbers < size.pixels else ""
    text = (
        f"Compact: {size.tokens:,} tokens of {size.channels_per_token:,} channels, {size.numbers:,} numbers for "
        f"{size.pixels:,} pixel values{fewer}."
    )
    return Text(text, {"numbers": size.numbers, "compression": size.compression})


def _learnable(subject: Subject) -> Text | None:
    study = subject.study
    if not set(subject.own) & set(study.generation["ae"]):
        known = len(study.reconstruction) + len(study.latents)
        return Text("Learnable: not known yet, since no transformer was trained.") if known else None
    settings = findings.mean_over_seeds(study.compared)
    distances = findings.by_ae(findings.best_per_ae(settings), "distance")
    if not set(subject.own) & set(distances):
        return Text("Learnable: not known, since every training diverged.")
    standing = above_noise.above_noise(study)
    clear = set(standing.loc[above_noise.is_clear(standing), "ae"])
    noise = study.noise_of_best
    label, samples = words.bare(findings.label(settings)), int(settings["n_samples"].iloc[0])
    values = {"distance": label, "n_samples": samples, "noise_of_difference": noise}
    unknown = "; the noise of the seed is not known" if math.isnan(noise) and len(distances) > 1 else ""
    which = "the chosen setting of each, measured anew" if study.anew else compared_at(settings)
    measured = f"{samples:,} samples, {which}{unknown}"
    distances = words.above_zero(distances)
    if not subject.ae:
        best = words.leaders({ae: distances[ae] for ae in distances if ae in clear}, noise)
        ends = " to ".join(dict.fromkeys(aligned(end) for end in (min(distances.values()), max(distances.values()))))
        text = f"Learnable: {_led(best, len(distances))} ({label} {ends} of {measured}).{_shares(subject, bool(clear))}"
        return Text(text, {**values, "most_learnable": best, "distances": distances})
    place = _place(subject, distances, {}, False, noise)
    if subject.ae in set(standing["ae"]) - clear:
        place = ", not clearly better than decoded noise and decoded Gaussian latents"
    reached = f"samples in its latent space reach {label} {aligned(distances[subject.ae])} ({measured})"
    return Text(f"Learnable: {reached}{place}.{_share(subject)}", {**values, "value": distances[subject.ae]})


def _led(best: Sequence[str], count: int) -> str:
    """Whose samples are nearest, of `count` autoencoders."""
    if not best:
        return "no best is clearly better than decoded noise and decoded Gaussian latents"
    if len(best) == count > 1:
        return "no latent space is clearly learned better than the others"
    return f"samples in the latent space of {words.named(best, count)} are nearest"


def _shares(subject: Subject, told: bool) -> str:
    """Whose latent space is learned best apart from its decoder, as a sentence with a space before it."""
    trainings = learnability.learned(subject.study)
    several = trainings.loc[trainings["told"].astype(bool), "ae"].nunique() > 1
    return f" {best_and_least(learned.shares(subject.study))}." if told and several else ""


def _share(subject: Subject) -> str:
    """The share learned of the report's autoencoder, as a sentence with a space before it."""
    if subject.ae not in set(learnability.learned(subject.study)["ae"]):
        return ""
    means = learned.shares(subject.study)
    row = means[means["ae"] == subject.ae].iloc[0]
    if not row["told"]:
        return f" {learnability.not_told_in_words(means[means['ae'] == subject.ae])}"
    interval = "" if math.isnan(row["g_low"]) else f" ({learned.interval_text(row)})"
    return f" Apart from the decoder its share learned is G {learned.share_text(row['g_kid'])}{interval}."
