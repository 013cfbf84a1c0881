"""Timestep settings for a latent of c channels per token: what the measured latents say, and whether a rule agrees.

The rule is sqrt(c / n), n the fewest channels in a study (`lrcore.flow.timesteps.timeshift`). What is recommended is
what was best for the measured latent nearest to c in log channels, never a value in between.

    evidence = study_evidence("smoke", generation)
    answer(evidence, channels=48).trainshift
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.studies import PUBLISHED
from lrcore.flow.timesteps import SHIFTS, TRAINING_DENSITIES
from lrcore.results import findings, naming, numbers
from lrcore.results.published import FOLLOWED, best_choices
from lrcore.spec.study import NO_REPA

_SHIFTS = ("trainshift", "sampleshift")
_UNKNOWN = "not known"
_FAR = 2.0
"""The factor in channels beyond which the nearest measured latent is called far."""

_COLUMNS = (
    "study", "ae", "channels_per_token", "condition", "trainp", "runner_up", "margin", "trainshift", "sampleshift",
    "trainshift_partly", "sampleshift_partly", "step", "feature_network", "score", "distance",
)  # fmt: skip


@dataclass(frozen=True)
class Best:
    """A value that was best, under which condition ("" for all), and what else is to be said of it."""

    value: float | str
    condition: str
    remark: str = ""

    @property
    def text(self) -> str:
        said = "; ".join(part for part in (self.condition, self.remark) if part)
        return numbers.value_text(self.value) + (f" ({said})" if said else "")


@dataclass(frozen=True)
class Latent:
    """A latent that was measured, and the best values of each of `findings.PARAMETERS`, none where not known.

    `partly`: what is known of a parameter whose best is not, since not all of its values were tried.
    """

    ae: str
    channels: int
    best: Mapping[str, tuple[Best, ...]]
    partly: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{naming.ae_style(self.ae).label} ({self.channels} channels)"


@dataclass(frozen=True)
class Evidence:
    """The latents of one study by rising channels, the shifts that it tried, and what it says of density in general.

    `density` is a sentence, `densities` are those that it leaves; `noise` is that of a difference of two settings,
    relative, NaN where it is not known.
    """

    latents: tuple[Latent, ...]
    tried: Mapping[str, tuple[float, ...]]
    density: str = ""
    densities: tuple[str, ...] = ()
    noise: float = math.nan

    @property
    def least(self) -> int:
        """The fewest channels, to which the rule gives the shift 1."""
        return self.latents[0].channels


@dataclass(frozen=True)
class Answer:
    """What the picker says of a number of channels: `short` is the answer, such as 'ln, train shift 1.78, sample shift
    6.93', the rest is what it rests on, in sentences.
    """

    short: str
    rule: str
    below: str
    above: str
    trainp: str
    trainshift: str
    sampleshift: str


def published_evidence(published: pandas.DataFrame) -> Evidence:
    """What the published study says; of all autoencoders together, it names densities that are never best.

    Raises:
        LrcoreError: as `published_rows`.
    """
    told = published[published["quantity"] == "best_trainp_is_ts"]
    tried = {parameter: SHIFTS for parameter in _SHIFTS}
    note = str(told["note"].iloc[0]) if len(told) else ""
    never = len(told) and told["value"].iloc[0] == 0
    densities = tuple(density for density in TRAINING_DENSITIES if density != "ts") if never else ()
    return Evidence(latents(published_rows(published)), tried, note, densities)


def study_evidence(name: str, generation: pandas.DataFrame, noise: float = math.nan) -> Evidence:
    """What the generation rows of one study say; `noise` as in `latents`.

    Raises:
        LrcoreError: as `study_rows`.
    """
    found = latents(study_rows(name, generation), noise)
    tried = {parameter: tuple(sorted(generation[parameter].unique())) for parameter in _SHIFTS}
    return Evidence(found, tried, noise=noise)


def published_rows(published: pandas.DataFrame) -> pandas.DataFrame:
    """The best choices of the published study: a row for each autoencoder and condition, NaN where none.

    Raises:
        LrcoreError: it calls no shift best, or has no channels per token of an autoencoder.
    """
    study = published[published["source"] == FOLLOWED]
    sizes = study[study["quantity"] == "channels_per_token"]
    channels = {str(ae): int(value) for ae, value in zip(sizes["ae"], sizes["value"], strict=True)}
    if not study["quantity"].isin(["best_trainshift", "best_sampleshift"]).any():
        raise LrcoreError("no rows: no published best shift")
    best = best_choices(published)
    if missing := sorted(set(best["ae"]) - channels.keys()):
        raise LrcoreError(f"no rows: no published channels per token of {', '.join(missing)}")
    order = pandas.MultiIndex.from_frame(best[["ae", "condition"]].drop_duplicates())
    wide = best.pivot(index=["ae", "condition"], columns="parameter", values="value").reindex(order).reset_index()
    found = pandas.DataFrame(
        {
            "ae": wide["ae"],
            "channels_per_token": wide["ae"].map(channels),
            "condition": wide["condition"],
            "trainp": wide.get("trainp", math.nan),
            **{shift: pandas.to_numeric(wide[shift]) if shift in wide else math.nan for shift in _SHIFTS},
        }
    )
    return _in_columns(found.assign(study=PUBLISHED))


def study_rows(name: str, generation: pandas.DataFrame) -> pandas.DataFrame:
    """The best setting of each autoencoder, with and without REPA, at the last step that all autoencoders reached.

    Of all of an autoencoder's own settings: advice on one latent compares it with no other. A shift is NaN where fewer
    of its values were tried than with another autoencoder, since the best may be among the others; what was best of
    those is in `trainshift_partly` and `sampleshift_partly`, as text. `runner_up` is the second best density, `margin`
    by how much it is worse at its best shifts.

    Raises:
        LrcoreError: no rows, two protocols, every run diverged, or two numbers of channels for one autoencoder.
    """
    settings = findings.mean_over_seeds(generation)
    at = settings[settings["step"] == findings.last_common_step(settings)]
    best = findings.best_settings(at).merge(
        findings.winning_densities(at)[["ae", "repa", "runner_up", "margin"]], on=["ae", "repa"]
    )
    if best.empty:
        raise LrcoreError(f"no rows: every run of study {name} diverged")
    sizes = generation.groupby("ae")["channels_per_token"]
    if (several := sizes.nunique()).max() > 1:
        raise LrcoreError(f"two numbers of channels per token for the autoencoder {several.idxmax()} of study {name}")
    for parameter in _SHIFTS:
        whole = findings.whole_groups(at, parameter)
        pairs = list(zip(best["ae"], best["repa"], strict=True))
        lacking = [pair not in whole for pair in pairs]
        tried = at.groupby(["ae", "repa"])[parameter].nunique()
        best[f"{parameter}_partly"] = [
            f"{value:.2f}, of {tried[pair]} tried" if partly else ""
            for value, partly, pair in zip(best[parameter], lacking, pairs, strict=True)
        ]
        best.loc[lacking, parameter] = math.nan
    best = best.sort_values("repa", key=lambda repa: repa != NO_REPA, kind="stable")
    found = best.assign(
        study=name,
        channels_per_token=best["ae"].map(sizes.first()).astype(int),
        condition=[naming.repa_label(str(repa)) for repa in best["repa"]],
        distance=best["distance"],
    )
    return _in_columns(found)


def latents(rows: pandas.DataFrame, noise: float = math.nan) -> tuple[Latent, ...]:
    """The measured latents of rows of one study, by rising channels.

    A margin below `noise` (relative; NaN where it is not known) is marked as what another seed may change.
    """
    found = []
    for (_, ae), group in rows.groupby(["channels_per_token", "ae"]):
        best = {
            parameter: tuple(
                Best(row[parameter], row["condition"], _runner_up(row, noise) if parameter == "trainp" else "")
                for _, row in group.dropna(subset=parameter).iterrows()
            )
            for parameter in findings.PARAMETERS
        }
        partly = {
            parameter: " or ".join(f"{row[name]} ({row['condition']})" for _, row in told.iterrows())
            for parameter in _SHIFTS
            if (name := f"{parameter}_partly") in group
            and len(told := group[[isinstance(text, str) and text != "" for text in group[name]]])
        }
        found.append(Latent(str(ae), int(group["channels_per_token"].iloc[0]), best, partly))
    return tuple(found)


def rule(channels: int, least: int) -> float:
    """The shift sqrt(channels / least), where `least` channels need none."""
    return math.sqrt(channels / least)


def answer(evidence: Evidence, channels: int) -> Answer:
    """What the evidence of one study says of a latent of `channels` channels per token."""
    lower = [latent for latent in evidence.latents if latent.channels <= channels]
    higher = [latent for latent in evidence.latents if latent.channels > channels]
    near = {name: _rule_among(evidence, name, channels) for name in _SHIFTS}
    return Answer(
        short=_short(evidence, channels),
        rule=f"nearest train shift that was tried: {near['trainshift']:.2f}; sample shift: {near['sampleshift']:.2f}",
        below=_measured([latent for latent in lower if latent.channels == lower[-1].channels]),
        above=_measured([latent for latent in higher if latent.channels == higher[0].channels]),
        trainp=_density(evidence, channels),
        trainshift=_shift(evidence, "trainshift", channels),
        sampleshift=_shift(evidence, "sampleshift", channels),
    )


def _in_columns(rows: pandas.DataFrame) -> pandas.DataFrame:
    return rows.reindex(columns=list(_COLUMNS)).sort_values("channels_per_token", kind="stable", ignore_index=True)


def _runner_up(row: pandas.Series, noise: float) -> str:
    if not isinstance(row["runner_up"], str):
        return ""  # not published
    if not row["runner_up"]:
        return "no other was tried"
    within = ", which another seed may change" if row["margin"] < noise else ""
    return f"{row['runner_up']} is {numbers.percent(row['margin'], signed=False)} worse{within}"


def _rule_among(evidence: Evidence, parameter: str, channels: int) -> float:
    """Of the shifts that were tried, the one nearest to the rule's."""
    return findings.nearest_shift(evidence.tried[parameter], rule(channels, evidence.least))


def _nearest(evidence: Evidence, parameter: str, channels: int) -> Latent | None:
    """The latent nearest in log channels of those whose best `parameter` is known."""
    known = [latent for latent in evidence.latents if latent.best[parameter]]
    return min(known, key=lambda latent: abs(math.log(channels / latent.channels)), default=None)


def _short(evidence: Evidence, channels: int) -> str:
    """The recommended values alone, several where they differ by condition, and whether they are a guess."""
    said, far = [], False
    for parameter, name in (("trainp", ""), ("trainshift", "train shift "), ("sampleshift", "sample shift ")):
        nearest = _nearest(evidence, parameter, channels)
        values = dict.fromkeys(numbers.value_text(one.value) for one in nearest.best[parameter]) if nearest else {}
        if parameter == "trainp" and not values:
            values = dict.fromkeys(evidence.densities)
        said.append(name + " or ".join(values) if values else f"{name or 'density '}not known")
        far = far or (nearest is not None and _is_far(nearest, channels))
    return ", ".join(said) + (" (a guess)" if far else "")


def _is_far(latent: Latent, channels: int) -> bool:
    return abs(math.log(channels / latent.channels)) > math.log(_FAR)


def _shift(evidence: Evidence, parameter: str, channels: int) -> str:
    nearest = _nearest(evidence, parameter, channels)
    if nearest is None:
        return "Not known of any latent."
    best = nearest.best[parameter]
    here, there = (_rule_among(evidence, parameter, at) for at in (channels, nearest.channels))
    agreeing = [one.condition for one in best if one.value == here]
    if len(agreeing) == len(best):
        rules = "The rule agrees."
    elif agreeing:
        rules = f"The rule gives {here:.2f}, which agrees in part ({', '.join(agreeing)})."
    else:
        rules = f"The rule disagrees: it gives {here:.2f}."
        if all(one.value == there for one in best):
            rules += " For the latent measured it agrees, so what lies between is worth a try."
    return f"{_joined(best)}, as measured for {nearest.label}.{_cautions(evidence, nearest, channels)} {rules}"


def _density(evidence: Evidence, channels: int) -> str:
    nearest = _nearest(evidence, "trainp", channels)
    of_all = f" Reported of all: {evidence.density}." if evidence.density else ""
    if nearest is None:
        return f"Not known of each latent.{of_all}"
    said = f"{_joined(nearest.best['trainp'])}, as measured for {nearest.label}."
    return said + _cautions(evidence, nearest, channels) + of_all


def _cautions(evidence: Evidence, nearest: Latent, channels: int) -> str:
    """What weakens a recommendation that rests on `nearest`."""
    closer = min(abs(math.log(channels / latent.channels)) for latent in evidence.latents)
    away = abs(math.log(channels / nearest.channels))
    passed_over = " Of the nearest latent it is not known." if away > closer else ""
    far = " That is more than a factor of two away, so this is a guess." if _is_far(nearest, channels) else ""
    moved = numbers.small_percent(evidence.noise) if math.isfinite(evidence.noise) else ""
    seed = f" Differences of at most {moved} may come from the seed, so other values may do as well." if moved else ""
    return passed_over + far + seed


def _measured(found: list[Latent]) -> str:
    return " ".join(f"{latent.label}: {_everything(latent)}." for latent in found) or "None."


def _everything(latent: Latent) -> str:
    named = {"trainp": "density", "trainshift": "train shift", "sampleshift": "sample shift"}
    said = {
        parameter: _joined(best) if best else latent.partly.get(parameter, _UNKNOWN)
        for parameter, best in latent.best.items()
    }
    return "; ".join(f"{name} {said[parameter]}" for parameter, name in named.items())


def _joined(best: tuple[Best, ...]) -> str:
    """Best values in words, once where they are the same whatever the condition."""
    if len(best) > 1 and len({(one.value, one.remark) for one in best}) == 1:
        best = (Best(best[0].value, "", best[0].remark),)
    return " or ".join(one.text for one in best) or _UNKNOWN
