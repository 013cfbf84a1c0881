"""Whether the channels of a latent space matter or what they hold, in words (`results.channels`).

No sentence claims a difference that noise, or another training of the autoencoder, may have made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas

from lrcore.figures import words
from lrcore.figures.markdown import code, escaped
from lrcore.results import channels, findings, numbers
from lrcore.results.channels import BETTER, UNCLEAR, Measure
from lrcore.results.controlled import Alignment
from lrcore.results.numbers import aligned
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import labels

_SHARE = "g_kid"


def has_comparisons(study: StudyRows) -> bool:
    """Whether the study has a comparison in which the channels or the alignment vary alone."""
    return not channels.compared(study).empty


def channels_in_words(studies: Mapping[str, StudyRows]) -> str:
    """What the comparisons of each study say, as Markdown: by its distance, then by G; "" where none has any."""
    told = {name: channels.compared(study) for name, study in studies.items()}
    said = [_by_distance(name, studies[name], rows) for name, rows in told.items() if len(rows)]
    said += [_by_share(name, studies[name], rows) for name, rows in told.items() if len(rows)]
    return "\n\n".join(filter(None, said))


def finding(rows: pandas.DataFrame, measure: Measure, name: str) -> str:
    """What the comparisons say in one sentence without a full stop; `name`: of the measure, such as 'KID' or 'G'."""
    said = [_of_channels(rows, measure, name)] if len(channels.linear(rows)) else []
    alone = [one for one in channels.alignments(rows) if not one.also]
    if alone:
        said.append(_of_alignments(rows, alone, measure, "it" if said else name))
    if not said:
        said = [
            f"{name} without alignment, and with it and another {one.also}" for one in channels.alignments(rows)[:1]
        ]
    return words.capital("; ".join(said)) if said else ""


def answer(rows: pandas.DataFrame, measure: Measure) -> str:
    """Whether the channels matter, or what they hold, or both; "" where one of the two was not compared."""
    alone = [one for one in channels.alignments(rows) if not one.also]
    if not alone or channels.linear(rows).empty:
        return ""
    number = len(channels.best_channels(rows, measure)) < len(channels.linear(rows))
    content = any(channels.of_alignment(rows, one, measure) != UNCLEAR for one in alone)
    if number and content:
        return "both matter, the number of channels and what they hold."
    if number or content:
        known, open_ = ("the number of channels", "what they hold")[:: 1 if number else -1]
        return f"{known} matters; whether {open_} does cannot be told within noise."
    return "noise hides whether the number of channels matters, and whether what they hold does."


def seed_in_words(rows: pandas.DataFrame, measure: Measure, name: str) -> str:
    """How far the seed of an autoencoder moves what alignment is judged by, as a sentence."""
    moved = channels.moved_by_seed(rows, measure)
    if not channels.alignments(rows):
        return ""
    if math.isnan(moved):
        return "No autoencoder was trained twice here, so what its own seed does is not known."
    pairs = [one.aligned for one in channels.alignments(rows) if len(one.aligned) > 1]
    named = words.joined(labels(pairs[0]))
    size = f"{100 * moved:.1f} %" if measure.column == "distance" else f"{moved:.2f}".replace("0.00", "less than 0.01")
    return f"{named} differ in the seed of the autoencoder alone, and in {name} by {size}."


def open_question(studies: Mapping[str, StudyRows]) -> str:
    """What is answered of channels and alignment, and what is not, as Markdown; "" where no study answers anything."""
    said = []
    for name, study in studies.items():
        rows = channels.compared(study)
        answered = answer(rows, Measure("distance", study.noise_of_best)) if len(rows) else ""
        if answered:
            said.append(f"In study {code(name)} {answered}")
    if not said:
        return ""
    return f"{' '.join(said)} [Channels and alignment](#sec-channels) has the numbers."


def _by_distance(name: str, study: StudyRows, rows: pandas.DataFrame) -> str:
    """The paragraph of a study by its deciding distance."""
    measure, label = Measure("distance", study.noise_of_best), study.distance.split(" (")[0]
    answered = answer(rows, measure)
    said = [f"{_channels_and_numbers(rows, measure, label)}."] if len(channels.linear(rows)) else []
    said += [_with_numbers(rows, one, measure, label) for one in channels.alignments(rows)]
    said += [seed_in_words(rows, measure, words.bare(label)), _unlike(study, measure, label)]
    said.append(words.seed_noise(measure.noise))
    return (
        f"In study {code(name)} {answered}\n\n{_bullets(said)}"
        if answered
        else f"Study {code(name)}:\n\n{_bullets(said)}"
    )


def _by_share(name: str, study: StudyRows, rows: pandas.DataFrame) -> str:
    """The paragraph of a study by G; "" where no comparison has it."""
    told, measure = channels.with_share(rows), Measure(_SHARE)
    if told.empty:
        return ""
    said = [f"{_channels_and_numbers(told, measure, 'G')}."] if len(channels.linear(told)) else []
    said.append(_costs_of_few(rows, told, Measure("distance", study.noise_of_best)))
    said += [_with_numbers(told, one, measure, "G") for one in channels.alignments(told)]
    said.append(seed_in_words(told, measure, "G"))
    measure_ = "By [the share $G$](#sec-apart), which takes out what the decoder loses"
    return f"{measure_}, in study {code(name)}:\n\n{_bullets(said)}"


def _bullets(said: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in said if text)


def _of_channels(rows: pandas.DataFrame, measure: Measure, name: str) -> str:
    own = channels.linear(rows)
    every, best = sorted(own["channels"]), channels.best_channels(rows, measure)
    ends = f"from {every[0]} to {every[-1]} channels"
    if not measure.knows_noise(own):
        return f"whether {name} of linear patches changes {ends} cannot be told: its noise is not known"
    if len(best) == len(every):
        return f"{name} of linear patches does not clearly change {ends}"
    low = measure.column == "distance"
    sides = [side for side, some in (("fewer", min(every) < min(best)), ("more", max(every) > max(best))) if some]
    beside = f", {'higher' if low else 'lower'} with {' and with '.join(sides)}" if sides else ""
    return f"{name} of linear patches is {'lowest' if low else 'highest'} at {_counted(best)}{beside}"


def _of_alignments(rows: pandas.DataFrame, alone: Iterable[Alignment], measure: Measure, name: str) -> str:
    found: dict[str, list[int]] = {}
    for one in alone:
        verb = _verb(channels.of_alignment(rows, one, measure), measure)
        found.setdefault(verb, []).append(_channels_of(rows, one))
    return words.joined([f"alignment {verb} {name} at {_counted(at)}" for verb, at in found.items()])


def _with_numbers(rows: pandas.DataFrame, one: Alignment, measure: Measure, label: str) -> str:
    """What alignment does at one number of channels, as a sentence; what else differs, where something does."""
    values = findings.by_ae(rows, measure.column)
    written = aligned if measure.column == "distance" else lambda value: f"{value:.2f}"
    plain, *others = (f"{written(values[ae])} of {labels([ae])[0]}" for ae in (one.unaligned, *one.aligned))
    count, verdict = _channels_of(rows, one), channels.of_alignment(rows, one, measure)
    ends = f"from {plain} to {words.joined(others)}"
    ends = f"{ends}{_interval(rows, one, measure)}"
    if not one.also:
        return f"At {count} channels alignment {_verb(verdict, measure)} {label} {ends}."
    change = "does not clearly change" if verdict == UNCLEAR else "falls" if _falls(verdict, measure) else "rises"
    return (
        f"At {count} channels alignment came with another {one.also}: {label} {change} {ends}"
        f"{_by_fid(rows, one, measure, verdict)}. What alignment does alone cannot be told there."
    )


def _interval(rows: pandas.DataFrame, one: Alignment, measure: Measure) -> str:
    """Of differences of G, Welch's intervals."""
    if measure.column == "distance":
        return ""
    by_ae = {str(row["ae"]): row for _, row in rows.iterrows()}
    found = []
    for ae in one.aligned:
        ahead, half = measure.ahead(by_ae[ae], by_ae[one.unaligned]), channels.reach(by_ae[ae], by_ae[one.unaligned])
        found.append(f"{ahead - half:.2f} to {ahead + half:.2f}")
    if any("inf" in text for text in found):
        return ""
    named = f"95 % interval{'s' if len(found) > 1 else ''} of the difference"
    return f" ({named} {words.joined(found)})".replace("-", "\N{MINUS SIGN}")


def _by_fid(rows: pandas.DataFrame, one: Alignment, measure: Measure, verdict: str) -> str:
    """That the Frechet distance of the same samples goes the other way than the kernel distance, where it does."""
    fid, kid = findings.by_ae(rows, "fid"), findings.by_ae(rows, "distance")
    if measure.column != "distance" or verdict == UNCLEAR or fid == kid:
        return ""
    if any((fid.get(ae, math.nan) - fid.get(one.unaligned, math.nan) > 0) == (verdict == BETTER) for ae in one.aligned):
        ends = words.joined([aligned(fid[ae]) for ae in one.aligned])
        return f", while the Fréchet distance of the same samples goes from {aligned(fid[one.unaligned])} to {ends}"
    return ""


def _unlike(study: StudyRows, measure: Measure, label: str) -> str:
    """How far any latent spaces of the same channels are apart, whatever else differs between them."""
    found = [
        f"from {aligned(best['distance'])} ({labels([best['ae']])[0]}) to {aligned(worst['distance'])} "
        f"({labels([worst['ae']])[0]}) with {best['channels']}"
        for best, worst in channels.widest_at_same_channels(study, measure)
    ]
    same = "Where the channels are the same, whatever else differs"
    return f"{same}, {label} goes {words.joined(found)}." if found else ""


def _costs_of_few(rows: pandas.DataFrame, told: pandas.DataFrame, distance: Measure) -> str:
    """Where few channels are better by G than by the distance: which part of that is their decoder's."""
    by_share, by_distance = (channels.best_channels(*pair) for pair in ((told, Measure(_SHARE)), (rows, distance)))
    few = channels.linear(told)
    few = few[few["channels"] < min(by_distance, default=0)].dropna(subset="floor")
    if few.empty or not min(by_share) < min(by_distance):
        return ""
    shares = findings.by_ae(few, "floor")
    parts = [
        f"{numbers.percent(shares[ae], signed=False)} of that of {label}"
        for ae, label in zip(shares, labels(shares), strict=True)
    ]
    return (
        f"With few channels, part of the distance is the decoder's: reconstructions alone are at {words.joined(parts)}."
    )


def _channels_and_numbers(rows: pandas.DataFrame, measure: Measure, label: str) -> str:
    written = aligned if measure.column == "distance" else lambda value: f"{value:.2f}"
    values = [f"{written(row[measure.column])} with {row['channels']}" for _, row in channels.linear(rows).iterrows()]
    return f"{words.capital(_of_channels(rows, measure, label))}: {', '.join(values)}"


def _verb(verdict: str, measure: Measure) -> str:
    if verdict == UNCLEAR:
        return "does not clearly change"
    return "lowers" if _falls(verdict, measure) else "raises"


def _falls(verdict: str, measure: Measure) -> bool:
    return (verdict == BETTER) == (measure.column == "distance")


def _channels_of(rows: pandas.DataFrame, one: Alignment) -> int:
    return int(rows.loc[rows["ae"] == one.unaligned, "channels"].iloc[0])


def _counted(channels_: Iterable[int]) -> str:
    return f"{words.joined([str(count) for count in sorted(channels_)])} channels"
