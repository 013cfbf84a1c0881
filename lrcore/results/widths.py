"""Does a transformer narrower than a token has channels fail by rank, or by lack of capacity?

Of the noise in a token's C channels a transformer of width W < C passes on W, so at t = 1 its loss stays at least
(C - W) / C above the best, however long it trains (Zheng et al. 2025, arXiv 2510.11690). But a narrow transformer has
fewer weights, too. What tells: a linear map around the transformer gives it the rank back and next to no capacity.

    rows = by_width(load_studies("data")["cifar10-cpu"])
    judge(rows, noise(study, rows))

A difference counts where it exceeds `seed_noise.noise_of_difference` of as many trainings and samples; where that is
not known, none does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas

from lrcore.results import findings, learnability, naming, numbers, seed_noise, verdicts
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import labels
from lrcore.spec.study import NO_REPA, NO_SKIP

RANK, CAPACITY, BOTH, NO_LOSS, UNCLEAR, SKIP_HELPS_ALL, NO_SKIP_TRIED = KINDS = (
    "rank", "capacity", "both", "no loss", "unclear", "the skip helps where rank is not lacking", "no skip tried",
)  # fmt: skip

_ALIKE = ["feature_network", "feature_protocol", "n_samples", "sample_seed"]
_AT = [*findings.PARAMETERS, "step"]


def by_width(study: StudyRows) -> pandas.DataFrame:
    """One row for each autoencoder, width and way around the transformer, of those that were tried with several.

    All of one protocol, an autoencoder's of one setting, without REPA, and of the training seeds that all have. Columns
    ae, channels_per_token, width, skip, n_samples, trainings, distance (the deciding one; NaN where one diverged), low
    and high (its ends over trainings), g_kid (G, NaN where it is not known or cannot be told), t_low and loss (of the
    last bin of t at the last step, over the same trainings; NaN where none is logged).
    """
    rows = pandas.concat([study.generation, study.confirmed, study.widths], ignore_index=True)
    rows = rows[(rows["repa"] == NO_REPA) & rows["ae"].isin(study.widths["ae"])] if len(study.widths) else rows.head(0)
    parts = [part for _, part in rows.groupby(_ALIKE)]
    rows = max(parts, key=lambda part: (_variants(part), part["n_samples"].iloc[0]), default=rows)
    tried = [_of_one_setting(own) for _, own in rows.groupby("ae")]
    kept = [own for own in tried if own.loc[own["skip"] == NO_SKIP, "width"].nunique() > 1]
    if not kept:
        return pandas.DataFrame()
    rows = learnability.with_shares(study, pandas.concat(kept, ignore_index=True))
    losses = pandas.concat([study.losses, study.width_losses], ignore_index=True)
    if len(losses):  # rows from before schema 4 are of the study's own transformer
        own_width = study.generation["width"].iloc[0]
        losses = losses.assign(width=losses["width"].fillna(own_width), skip=losses["skip"].replace("", NO_SKIP))
    found = [
        {**dict(zip(("ae", "width", "skip"), key, strict=True)), **_summary(own), **_last_loss(losses, own)}
        for key, own in rows.groupby(["ae", "width", "skip"])
    ]
    order = {ae: place for place, ae in enumerate(naming.in_order(rows["ae"]))}
    return pandas.DataFrame(found).sort_values(
        ["ae", "skip", "width"],
        key=lambda column: column.map(order) if column.name == "ae" else column,
        ignore_index=True,
    )


def noise(study: StudyRows, rows: pandas.DataFrame) -> float:
    """`seed_noise.noise_of_difference` of two rows of `by_width`: NaN where no seed was repeated."""
    trainings, samples = int(rows["trainings"].min()), int(rows["n_samples"].min())
    return seed_noise.noise_of_difference(study.repeated, trainings, samples)


@dataclass(frozen=True)
class Judgement:
    """What the widths of one autoencoder say: `kind` is one of `KINDS`.

    `narrow` is the width below its channels that is judged, `enough` the least width tried that is not below; `gap` by
    how much the distance at the first is the higher one, `closed` by how much a linear skip there lowers it, `left`
    what is then left of the gap: all relative (`verdicts.lead`), NaN where a row is missing.
    """

    ae: str
    channels: int
    narrow: float
    enough: float
    gap: float
    closed: float
    left: float
    kind: str
    helped: tuple[str, ...] = ()


def judge(rows: pandas.DataFrame, noise: float) -> list[Judgement]:
    """Each autoencoder of `by_width` that was tried below and at or above its channels, that of most channels first."""
    found = []
    for ae, own in rows.groupby("ae", sort=False):
        channels, plain = int(own["channels_per_token"].iloc[0]), own[own["skip"] == NO_SKIP]
        below, above = (plain.loc[side, "width"] for side in (plain["width"] < channels, plain["width"] >= channels))
        around = own.loc[(own["skip"] != NO_SKIP) & (own["width"] < channels), "width"]
        if below.empty or above.empty:
            continue
        tried = sorted(set(below) & set(around)) or sorted(below)
        narrow, enough = float(tried[0]), float(min(above))
        gap = verdicts.lead(_at(own, enough), _at(own, narrow))
        closed = verdicts.lead(_at(own, narrow, skip=True), _at(own, narrow))
        left = verdicts.lead(_at(own, enough), _at(own, narrow, skip=True))
        helped = _also_helped(rows, narrow, closed, noise)
        kind = _kind(gap, closed, left, noise, bool(helped))
        found.append(Judgement(str(ae), channels, narrow, enough, gap, closed, left, kind, helped))
    return sorted(found, key=lambda one: -one.channels)


def finding(rows: pandas.DataFrame, noise: float, distance: str) -> str:
    """What the widths say in one sentence without a full stop: of the autoencoder of most channels that they judge.

    `distance`: what the deciding one is called, such as 'KID'.
    """
    judged = judge(rows, noise)
    return in_words(judged[0], distance) if judged else _of_capacity(rows, noise, distance)


def in_words(judged: Judgement, distance: str) -> str:
    """A judgement as a sentence without a full stop."""
    name, narrow, enough = naming.ae_style(judged.ae).label, f"{judged.narrow:.0f}", f"{judged.enough:.0f}"
    lacks, what = f"A width of {narrow} lacks", f"for {name}'s {judged.channels} channels"
    worse = f"{distance} of {name} is {_much(judged.gap)} higher at width {narrow} than at {enough}"
    if judged.kind == RANK:
        return f"{lacks} rank {what}: a linear skip makes up for it"
    if judged.kind == CAPACITY:
        return f"{lacks} capacity, not rank, {what}: a linear skip does not make up for it"
    if judged.kind == BOTH:
        return f"{lacks} rank and capacity {what}: a linear skip makes up for a part"
    if judged.kind == NO_LOSS:
        return f"A width of {narrow} is no clear loss {what}"
    if judged.kind == SKIP_HELPS_ALL:
        others = " and ".join(labels(judged.helped))
        return f"{worse}; a linear skip helps there, but also helps {others}, where no rank is lacking"
    if judged.kind == NO_SKIP_TRIED:
        return f"{worse}; without a linear skip, rank and capacity cannot be told apart"
    return f"Whether a width of {narrow} lacks rank or capacity {what} cannot be told within noise"


def numbers_in_words(rows: pandas.DataFrame, noise: float, distance: str) -> str:
    """The numbers behind `judge`, and what width does where no rank is lacking, a sentence for each autoencoder.

    `distance`: what the deciding one is called with its scale, such as 'KID × 1000'.
    """
    said, judged = [], {one.ae: one for one in judge(rows, noise)}
    for ae, own in rows.groupby("ae", sort=False):
        if ae not in judged:
            said.append(f"{_of_capacity(own, noise, distance)}.")
            continue
        one = judged[str(ae)]
        values = [
            (_at(own, one.narrow), f"at width {one.narrow:.0f}"),
            (_at(own, one.narrow, skip=True), "there with a linear skip"),
            (_at(own, one.enough), f"at width {one.enough:.0f}"),
        ]
        wider = sorted(width for width in own.loc[own["skip"] == NO_SKIP, "width"] if width > one.enough)
        values += [(_at(own, width), f"at width {width:.0f}") for width in wider]
        told = ", ".join(f"{numbers.aligned(value)} {where}" for value, where in values if not math.isnan(value))
        name = naming.ae_style(str(ae)).label
        said.append(f"{distance} of {name}: {told}.")
        if wider and _clear(verdicts.lead(_at(own, wider[-1]), _at(own, one.enough)), noise):
            said.append(f"So a transformer of width {one.enough:.0f} still holds {name} back.")
    return " ".join(said)


def loss_finding(rows: pandas.DataFrame) -> str:
    """What a narrow width costs in the loss near t = 1, and a linear skip there: of the most channels, else ""."""
    known = rows.dropna(subset="loss")
    for ae in known.sort_values("channels_per_token", ascending=False, kind="stable")["ae"].unique():
        own = known[known["ae"] == ae]
        plain, around = own[own["skip"] == NO_SKIP].sort_values("width"), own[own["skip"] != NO_SKIP]
        wide = plain[plain["width"] >= plain["channels_per_token"]]
        both = plain[plain["width"] < plain["channels_per_token"]].merge(around, on="width", suffixes=("", "_skip"))
        if len(wide) and len(both):
            base, narrow = wide.iloc[0], both.iloc[0]
            apart = [_signed(narrow[name] - base["loss"]) for name in ("loss", "loss_skip")]
            return (
                f"{naming.ae_style(str(ae)).label}'s loss near noise is {apart[0]} at width {narrow['width']:.0f} "
                f"against width {base['width']:.0f}, and {apart[1]} there with a linear skip"
            )
    return ""


def loss_in_words(rows: pandas.DataFrame) -> str:
    """How far the loss near t = 1 of narrow transformers is above that of wide ones, and what rank alone asks for."""
    said = []
    for ae, own in rows.dropna(subset="loss").groupby("ae", sort=False):
        channels = int(own["channels_per_token"].iloc[0])
        plain = own[own["skip"] == NO_SKIP].sort_values("width")
        wide, narrow = plain[plain["width"] >= channels], plain[plain["width"] < channels]
        if wide.empty or narrow.empty:
            continue
        base, parts = wide.iloc[0], []
        for _, row in narrow.iterrows():
            asked = f"rank alone costs {numbers.shown(1 - row['width'] / channels)} at t = 1"
            parts.append(f"{_signed(row['loss'] - base['loss'])} at width {row['width']:.0f} ({asked})")
            around = own[(own["skip"] != NO_SKIP) & (own["width"] == row["width"])]
            parts += [f"{_signed(other['loss'] - base['loss'])} with a linear skip" for _, other in around.iterrows()]
        where = f"Loss at t {numbers.shown(base['t_low'])} to 1, {naming.ae_style(str(ae)).label}"
        said.append(f"{where} against width {base['width']:.0f}: {', '.join(parts)}.")
    return " ".join(said)


def _variants(rows: pandas.DataFrame) -> int:
    return len(rows[["ae", "width", "skip"]].drop_duplicates())


def _of_one_setting(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of an autoencoder at the setting tried with the most widths, of the training seeds that all have."""
    parts = [part for _, part in rows.groupby(_AT)]
    own = max(parts, key=lambda part: (_variants(part), part["step"].iloc[0], -findings.deciding(part).mean()))
    seeds = [set(part["train_seed"]) for _, part in own.groupby(["width", "skip"])]
    return own[own["train_seed"].isin(set.intersection(*seeds) or set.union(*seeds))]


def _summary(rows: pandas.DataFrame) -> dict[str, object]:
    """The columns of `by_width` that are of generation rows."""
    distance = findings.deciding(rows)
    same = {name: rows[name].iloc[0] for name in ("channels_per_token", "n_samples")}
    ends = {"distance": distance.mean(skipna=False), "low": distance.min(), "high": distance.max()}
    return {**same, "trainings": rows["train_seed"].nunique(), **ends, "g_kid": rows["g_kid"].mean(skipna=False)}


def _last_loss(losses: pandas.DataFrame, rows: pandas.DataFrame) -> dict[str, float]:
    """Of the trainings of generation rows: where the last bin of t begins, and its mean loss at their last step."""
    keys = ["ae", "repa", "trainp", "trainshift", "train_seed", "width", "skip"]
    if losses.empty:
        return {"t_low": math.nan, "loss": math.nan}
    own = losses.merge(rows[keys].drop_duplicates(), on=keys)
    own = own[(own["step"] == own["step"].max()) & (own["t_low"] == own["t_low"].max()) & (own["count"] > 0)]
    if own.empty:
        return {"t_low": math.nan, "loss": math.nan}
    return {"t_low": own["t_low"].iloc[0], "loss": (own["loss"] * own["count"]).sum() / own["count"].sum()}


def _at(rows: pandas.DataFrame, width: float, skip: bool = False) -> float:
    """The distance of an autoencoder's row; NaN where there is none."""
    found = rows.loc[(rows["width"] == width) & ((rows["skip"] != NO_SKIP) == skip), "distance"]
    return float(found.iloc[0]) if len(found) else math.nan


def _clear(lead: float, noise: float) -> bool:
    """Whether what leads does so by more than noise that is known."""
    return verdicts.verdict_on_lead(lead, noise) == verdicts.HOLDS


def _kind(gap: float, closed: float, left: float, noise: float, helped: bool) -> str:
    if math.isnan(gap):
        return UNCLEAR
    if not _clear(gap, noise):
        return NO_LOSS if math.isfinite(noise) else UNCLEAR
    if math.isnan(closed):
        return NO_SKIP_TRIED
    better, worse = _clear(closed, noise), _clear(left, noise)
    if better and helped:
        return SKIP_HELPS_ALL
    if better:
        return BOTH if worse else RANK
    # a skip that hurts tells nothing of rank, nor does one that noise lets close half of the gap
    little = closed >= 0 and math.log1p(closed) + noise < math.log1p(gap) / 2
    return CAPACITY if worse and little else UNCLEAR


def _also_helped(rows: pandas.DataFrame, width: float, closed: float, noise: float) -> tuple[str, ...]:
    """The autoencoders whose tokens fit the width, and whom the skip there clearly helps by at least half as much."""
    found: list[str] = []
    if not _clear(closed, noise):
        return ()
    for ae, own in rows[rows["channels_per_token"] <= width].groupby("ae", sort=False):
        helps = verdicts.lead(_at(own, width, skip=True), _at(own, width))
        if _clear(helps, noise) and math.log1p(helps) >= math.log1p(closed) / 2:
            found.append(str(ae))
    return tuple(found)


def _of_capacity(rows: pandas.DataFrame, noise: float, distance: str) -> str:
    """What the widths say where none is below a token's channels: of the autoencoder of most channels."""
    own = rows[rows["channels_per_token"] == rows["channels_per_token"].max()]
    own = own[(own["ae"] == own["ae"].iloc[0]) & (own["skip"] == NO_SKIP)].sort_values("width")
    first, last, name = own.iloc[0], own.iloc[-1], naming.ae_style(str(own["ae"].iloc[0])).label
    gain = verdicts.lead(float(last["distance"]), float(first["distance"]))
    ends = f"from width {first['width']:.0f} to {last['width']:.0f}"
    if math.isnan(gain):
        return f"{distance} of {name} is not known {ends}: trainings diverged"
    if not math.isfinite(noise):
        return f"Whether {distance} of {name} changes {ends} cannot be told: its noise is not known"
    if not (_clear(gain, noise) or _clear(-gain, noise)):
        return f"{distance} of {name} does not clearly change {ends}"
    return f"{distance} of {name} {'falls' if gain > 0 else 'rises'} by {_much(abs(gain))} {ends}"


def _much(lead: float) -> str:
    return numbers.percent(lead, signed=False)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
