"""What a reader must know before the numbers: each caveat is computed from rows, and says what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas

from lrcore.autoencoders.guard import MEAN_LIMIT, SPREAD_LIMIT, STD_LIMITS, line_for
from lrcore.errors import LrcoreError
from lrcore.report_pages.portable import portable
from lrcore.report_pages.subject import Subject
from lrcore.results import above_noise, findings, naming
from lrcore.results.numbers import shown
from lrcore.results.wording import narrow_note
from lrcore.spec.study import NO_REPA

POOR = 15.0
"""PSNR in dB that an image of one colour has about, and a decoder whose range is wrong."""

FEW_SAMPLES = {"fid": 10_000, "kid": 1_000}
"""Fewer samples than this make a distance large (the Frechet distance) or noisy (the kernel distance)."""

FEW_IMAGES = 1_000
"""Of fewer images, means over reconstructions are noisy and their Frechet distance is large."""


@dataclass(frozen=True)
class Caveat:
    """`key` says which it is, `ae` of which autoencoder ("" for the study); `values` are the numbers in `text`."""

    key: str
    text: str
    ae: str = ""
    values: dict[str, Any] = field(default_factory=dict)


def caveats(subject: Subject) -> list[Caveat]:
    """Every caveat, the gravest first."""
    kinds = (
        _a_check,
        _partial,
        _alone,
        _not_normalised,
        _poor,
        _near_noise,
        _narrow,
        _mixed,
        _diverged,
        _at_an_edge,
        _few,
        _uneven_channels,
    )
    found: list[Caveat] = []
    for kind in kinds:
        try:
            found += kind(subject)
        except LrcoreError as error:
            found.append(Caveat("cannot_be_told", undrawn("Something that may be wrong", error)))
    return found


def _a_check(subject: Subject) -> Iterator[Caveat]:
    if subject.name == "smoke":
        yield Caveat(
            "check_of_machinery",
            "The study smoke is a check of the machinery: every model in it is trained for seconds, so its numbers say "
            "nothing of autoencoders.",
        )


def _partial(subject: Subject) -> Iterator[Caveat]:
    if partial := subject.partial:
        text = f"The study is not whole yet: {partial}. What is best may change."
        yield Caveat("partial", text, values={"measured": partial})


def _alone(subject: Subject) -> Iterator[Caveat]:
    if subject.beside and not subject.theirs:
        yield Caveat(
            "no_references",
            f"All is measured at the protocol of study {subject.beside}, but none of its rows are here that were "
            "measured alike: references are missing.",
        )


def latent_scale(latents: pandas.DataFrame, ae: str) -> dict[str, float]:
    """Mean and deviation of all values of a latent, and the least and largest deviation of a channel.

    Empty where the rows of `read_latents` have no channels of it. The deviation is of the channels' means and
    deviations, each channel as often as any other.
    """
    own = latents[latents["ae"] == ae]
    means = own[own["metric"] == "channel_mean"].set_index("index")["value"]
    stds = own[own["metric"] == "channel_std"].set_index("index")["value"]
    if stds.empty:
        return {}
    found = {"lowest_channel_std": float(stds.min()), "highest_channel_std": float(stds.max())}
    if len(means) == len(stds):
        mean = float(means.mean())
        found |= {"mean": mean, "std": math.sqrt(max(0.0, float((stds**2 + means**2).mean()) - mean**2))}
    return found


def _not_normalised(subject: Subject) -> Iterator[Caveat]:
    for ae in subject.own:
        scale = latent_scale(subject.study.latents, ae)
        if "mean" in scale and not (
            abs(scale["mean"]) <= MEAN_LIMIT and STD_LIMITS[0] <= scale["std"] <= STD_LIMITS[1]
        ):
            yield Caveat(
                "not_normalised",
                f"Latents of {_label(ae)} are not normalised: mean {shown(scale['mean'])}, standard deviation "
                f"{shown(scale['std'])} (allowed: |mean| at most {MEAN_LIMIT}, {STD_LIMITS[0]} to {STD_LIMITS[1]}). "
                f"Flow matching trains worse on them: {line_for(ae, 'all')}.",
                ae,
                scale,
            )


def _uneven_channels(subject: Subject) -> Iterator[Caveat]:
    for ae in subject.own:
        scale = latent_scale(subject.study.latents, ae)
        low, high = scale.get("lowest_channel_std", 1.0), scale.get("highest_channel_std", 1.0)
        if high >= SPREAD_LIMIT * low:
            yield Caveat(
                "channel_spread",
                f"Channels of {_label(ae)} deviate by {shown(low)} to {shown(high)}, so noise hides some before "
                f"others; {line_for(ae, 'channel')} gives each deviation 1.",
                ae,
                scale,
            )


def _poor(subject: Subject) -> Iterator[Caveat]:
    rows = subject.study.reconstruction
    for ae in subject.own:
        psnr = rows.loc[(rows["ae"] == ae) & (rows["metric"] == "psnr"), "value"]
        if len(psnr) and psnr.iloc[0] < POOR:
            yield Caveat(
                "range",
                f"Reconstructions of {_label(ae)} have a PSNR of {shown(float(psnr.iloc[0]))} dB, about that of one "
                "colour. Where the autoencoder is better than that, the range of its images is wrong or its weights "
                f"are not loaded: python -m lrcore.check {subject.argument} --ae {ae} tells which.",
                ae,
                {"psnr": float(psnr.iloc[0])},
            )


def _near_noise(subject: Subject) -> Iterator[Caveat]:
    """Whether the best of each autoencoder is clearly better than decoded noise and decoded Gaussian latents."""
    study = subject.study
    if study.generation.empty:
        return
    found = above_noise.above_noise(study)
    found = found[found["ae"].isin(subject.own)]
    if text := above_noise.in_words(found, findings.label(study.compared)):
        values = {str(row["ae"]): {key: row[key] for key in _OF_NOISE} for _, row in found.iterrows()}
        yield Caveat("not_clearly_above_noise", text, subject.ae, values)


_OF_NOISE = ("standing", "distance", *above_noise.ANCHORS, "deviation", "assumed", "tried")


def _narrow(subject: Subject) -> Iterator[Caveat]:
    rows = pandas.concat([subject.study.generation, subject.study.confirmed])
    rows = rows[rows["ae"].isin(subject.own)]
    if len(rows) and (note := narrow_note(rows)):
        yield Caveat("narrow_transformer", note, subject.ae)


def _mixed(subject: Subject) -> Iterator[Caveat]:
    for out in subject.left_out:
        yield Caveat(
            "mixed_protocols",
            f"Rows of {out.kind} were measured in several ways that cannot be compared. Shown are those of {out.kept}; "
            f"{out.count:,} other rows are left out.",
            values={"kind": out.kind, "columns": list(out.columns), "rows_left_out": out.count},
        )
    if subject.differing:
        yield Caveat(
            "mixed_protocols",
            f"Autoencoders were measured on different images ({'; '.join(subject.differing)}), so compare them with "
            "care.",
            values={"differing": list(subject.differing)},
        )


def _diverged(subject: Subject) -> Iterator[Caveat]:
    rows = subject.study.generation
    for ae in subject.own:
        own = rows[rows["ae"] == ae]
        count = int(findings.deciding(own).isna().sum()) if len(own) else 0
        if count:
            yield Caveat(
                "diverged",
                f"{count} of {len(own)} evaluations of {_label(ae)} diverged: the loss or the weights were no longer "
                "finite.",
                ae,
                {"diverged": count, "evaluations": len(own)},
            )


_SHIFTS = {"trainshift": "train shift", "sampleshift": "sample shift"}


def _at_an_edge(subject: Subject) -> Iterator[Caveat]:
    """One for each kind of shift whose best is the smallest or the largest that was tried, where several were."""
    rows = subject.study.generation
    plain = rows[rows["repa"] == NO_REPA]
    if plain.empty:
        return
    settings = findings.mean_over_seeds(plain)
    for parameter, name in _SHIFTS.items():
        found: dict[str, dict[str, Any]] = {}
        for ae in subject.own:
            own = settings[settings["ae"] == ae]
            tried = sorted(float(value) for value in own[parameter].unique())
            best = findings.best_per_ae(own)[parameter].tolist()
            if len(tried) > 1 and best and best[0] in (tried[0], tried[-1]):
                found[ae] = {"best": float(best[0]), "tried": tried, "end": _ENDS[best[0] == tried[-1]]}
        if found:
            said = ", ".join(
                f"{_label(ae)} {one['best']:.2f} ({one['end']} of {_tried(one)})" for ae, one in found.items()
            )
            text = f"The best {name} is at the edge of those that were tried, so a better one may lie beyond: {said}."
            yield Caveat("best_at_edge", text, subject.ae, {"parameter": parameter, "autoencoders": found})


_ENDS = ("the smallest", "the largest")


def _tried(one: dict[str, Any]) -> str:
    return f"{len(one['tried'])}, {one['tried'][0]:.2f} to {one['tried'][-1]:.2f}"


def _few(subject: Subject) -> Iterator[Caveat]:
    rows = subject.study.compared if len(subject.study.generation) else subject.study.generation
    own = rows[rows["ae"].isin(subject.own)]
    if len(own):
        count, score = int(own["n_samples"].min()), str(own["score"].iloc[0])
        if count < FEW_SAMPLES.get(score, 0):
            why = (
                "the Fréchet distance of so few is too large, by an amount that depends on the model: compare it "
                "within this study alone"
                if score == "fid"
                else "the kernel distance of so few is noisy"
            )
            yield Caveat("few_samples", f"Distances are of {count:,} samples: {why}.", values={"n_samples": count})
    images = subject.study.reconstruction
    images = images[images["ae"].isin(subject.own)]
    if len(images) and (count := int(images["n_images"].min())) < FEW_IMAGES:
        biased = ", and the Fréchet distance is too large" if images["metric"].isin(["rfid", "rfd"]).any() else ""
        text = f"Reconstructions are of {count:,} images: means are noisy{biased}."
        yield Caveat("few_images", text, values={"n_images": count})


def undrawn(what: str, error: LrcoreError) -> str:
    """A sentence on what cannot be shown since its rows do not allow it."""
    return f"{what} cannot be shown: {portable(str(error))}"


def _label(ae: str) -> str:
    return naming.ae_style(ae).label
