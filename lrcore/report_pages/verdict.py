"""What the rows say in two or three sentences: how faithful, how compact, how learnable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lrcore.figures import words
from lrcore.report_pages import card, learned
from lrcore.report_pages.blocks import Text
from lrcore.report_pages.subject import Subject
from lrcore.results import findings, learnability, naming
from lrcore.results.numbers import aligned, shown, with_error
from lrcore.results.wording import best_of


def verdict(subject: Subject) -> list[Text]:
    """A sentence for each of the three that something is known of."""
    said = [_faithful(subject), _compact(subject), _learnable(subject)]
    found = [text for text in said if text]
    return found or [Text(f"Nothing of {subject.label} is measured yet.")]


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
        lead = "no autoencoder is clearly more faithful than the others" if len(best) == len(values) > 1 else (
            f"{words.named(best, len(values))} {'is' if len(best) == 1 else 'are'} the most faithful"
        )  # fmt: skip
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
    parts = [f"better than {words.named(worse, 0)}" if 0 < len(worse) <= 3 else f"better than {len(worse)}"] * bool(
        worse
    )
    parts += [f"worse than {words.named(better, 0)}" if 0 < len(better) <= 3 else f"worse than {len(better)}"] * bool(
        better
    )
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
    sizes = card.sizes(subject)
    sizes = sizes[sizes.index.isin(subject.own)]
    if sizes.empty:
        return None
    if not subject.ae:
        low, high = sizes["numbers"].min(), sizes["numbers"].max()
        ends = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        text = f"Compact: latents hold {ends} numbers for {3 * sizes['resolution'].iloc[0] ** 2:,} pixel values."
        return Text(text, {"numbers": {str(ae): int(value) for ae, value in sizes["numbers"].items()}})
    row = sizes.loc[subject.ae]
    pixels, numbers = 3 * int(row["resolution"]) ** 2, int(row["numbers"])
    text = (
        f"Compact: {int(row['tokens']):,} tokens of {int(row['channels_per_token']):,} channels, {numbers:,} numbers for "
        f"{pixels:,} pixel values{f' ({shown(pixels / numbers)} times fewer)' if numbers < pixels else ''}."
    )
    return Text(text, {"numbers": numbers, "compression": pixels / numbers})


def _learnable(subject: Subject) -> Text | None:
    study = subject.study
    if study.generation.empty or not set(subject.own) & set(study.generation["ae"]):
        return None
    settings = findings.mean_over_seeds(study.compared)
    distances = findings.by_ae(findings.best_per_ae(settings), "distance")
    if not set(subject.own) & set(distances):
        return None
    noise = findings.noise_of_difference(study.repeated)
    label, samples = words.bare(findings.label(settings)), int(settings["n_samples"].iloc[0])
    values: dict[str, Any] = {"distance": label, "n_samples": samples, "noise_of_difference": _known(noise)}
    share = ""
    if not learnability.learned(study).empty:
        means = learned.shares(study).set_index("ae")
        if not subject.ae:
            share = f" {learnability_finding(means)}"
        elif subject.ae in means.index:
            row = means.loc[subject.ae]
            share = f" Apart from the decoder its share learned is G {shown(float(row['g_kid']))}"
            share += "." if math.isnan(row["g_low"]) else f" ({learned.interval_text(row)})."
            values["g_kid"] = float(row["g_kid"])
    if not subject.ae:
        best = words.leaders(words.above_zero(distances), noise)
        tied = "no latent space is clearly learned better than the others" if len(best) == len(distances) > 1 else (
            f"samples in the latent space of {words.named(best, len(distances))} are nearest"
        )  # fmt: skip
        ends = f"{aligned(min(distances.values()))} to {aligned(max(distances.values()))}"
        text = f"Learnable: {tied} ({label} {ends} of {samples:,} samples, the best of {best_of(settings)}).{share}"
        return Text(text, {**values, "most_learnable": best, "distances": distances})
    place = _place(subject, words.above_zero(distances), {}, False, noise)
    text = (
        f"Learnable: samples in its latent space reach {label} {aligned(distances[subject.ae])} ({samples:,} samples, the "
        f"best of {best_of(settings)}){place}.{share}"
    )
    return Text(text, {**values, "value": distances[subject.ae]})


def learnability_finding(means: Any) -> str:
    """Whose latent space is learned best apart from its decoder, as a sentence."""
    from lrcore.figures.learnability import best_and_least

    return f"{best_and_least(means.reset_index())}."


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
