"""What a study found, computed from its rows: best settings, spreads, changes between autoencoders.

Every function takes and returns data frames and touches no file: rows with the columns of `lrcore.records.schema`, or
settings, which `mean_over_seeds` makes of them. What decides is a setting's `distance`: lower is better, NaN where a
run diverged.

    rows = findings.of_study(reading.read_generation("data"), "smoke")
    findings.best_settings(findings.mean_over_seeds(rows))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import pandas

from lrcore.errors import LrcoreError, unknown
from lrcore.flow.shapes import SHAPES
from lrcore.records import paired, schema
from lrcore.results.numbers import value_text
from lrcore.spec.study import NO_REPA, NO_SKIP, SELF_REPA

NumberT = TypeVar("NumberT", float, pandas.Series)

PARAMETERS = ("trainp", "trainshift", "sampleshift")
"""The choices of timesteps, in the order the site shows them."""

SETTING = ["ae", "repa", *PARAMETERS]
"""What names one line of distance over steps."""

TRANSFORMER = ("width", "skip")
"""What tells transformers of one study apart: settings are of one."""

SCORES = ("fid", "kid", "sample_precision", "sample_recall")
"""What the samples of a setting are measured by."""

KID_SCALE = 1000
"""Kernel distances are shown in thousandths, as is usual."""

_OWN_WIDTH = {name: float(shape.width) for name, shape in SHAPES.items()}


def of_study(rows: pandas.DataFrame, study: str) -> pandas.DataFrame:
    """The rows of one study.

    Raises:
        LrcoreError: no row of it, naming the studies there are.
    """
    found = rows[rows["study"] == study]
    if found.empty:
        raise unknown("study", study, sorted(rows["study"].unique()))
    return found


def completed(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows with what those from before schema 4 leave open: `score`, `width` and `skip` as they were then."""
    return rows.assign(
        score=rows["score"].replace("", "fid"),
        width=rows["width"].astype(float).fillna(rows["model"].map(_OWN_WIDTH)),
        skip=rows["skip"].replace("", NO_SKIP),
    )


def of_own_transformer(rows: pandas.DataFrame) -> pandas.Series:
    """Which rows are of the transformer that `model` names: of its width, and with no way around it."""
    rows = completed(rows)
    own = rows["model"].map(_OWN_WIDTH).fillna(rows["width"])
    return (rows["width"].isna() | rows["width"].eq(own)) & rows["skip"].eq(NO_SKIP)


def narrow(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The autoencoders whose tokens have more channels than the transformer of some of these rows is wide.

    It cannot represent the velocity (Zheng et al. 2025, arXiv 2510.11690). Columns ae, width, channels_per_token, once
    each; a transformer with a way around it is none of these.
    """
    rows = completed(rows)
    found = rows[(rows["width"] < rows["channels_per_token"]) & (rows["skip"] == NO_SKIP)]
    return (
        found[["ae", "width", "channels_per_token"]].drop_duplicates().sort_values(["ae", "width"], ignore_index=True)
    )


def deciding(rows: pandas.DataFrame) -> pandas.Series:
    """The distance of each row that decides which setting is best: `fid`, or where `score` is `kid` that, scaled."""
    distance: pandas.Series = rows["fid"].where(rows["score"] != "kid", KID_SCALE * rows["kid"])
    return distance


def label(rows: pandas.DataFrame) -> str:
    """What the deciding distance of rows, or settings, of one protocol may be called."""
    return schema.distance_label(str(rows["feature_network"].iloc[0]), str(rows["score"].iloc[0]))


def require_one_protocol(rows: pandas.DataFrame) -> None:
    """Refuse generation rows whose distances cannot be compared.

    Raises:
        LrcoreError: no rows, or two values in a column of `schema.DISTANCE_PROTOCOL` or `TRANSFORMER`, naming both.
    """
    if rows.empty:
        raise LrcoreError("no rows: nothing has been measured yet; run `python -m lrcore.train` first")
    rows = completed(rows)
    for column in (*schema.DISTANCE_PROTOCOL, *TRANSFORMER):
        values = sorted(rows[column].unique())
        if len(values) > 1:
            named = ", ".join(map(str, values))
            raise LrcoreError(f"distances with different {column} cannot be compared: {named}; keep the rows of one")


def mean_over_seeds(rows: pandas.DataFrame) -> pandas.DataFrame:
    """One row per setting and step: `SETTING`, step, seeds, distance, `SCORES`, feature_network, score, n_samples.

    `distance` is the one that decides (`deciding`). It and the scores are means over training and sampling seeds,
    `seeds` their number; NaN where one of them diverged. Rows in half precision have theirs in float32, too, `whole`
    (`records.paired`). Sorted.

    Raises:
        LrcoreError: as `require_one_protocol`.
    """
    require_one_protocol(rows)
    rows = completed(rows)
    groups = rows.assign(distance=deciding(rows)).groupby([*SETTING, "step"])
    found = pandas.DataFrame({name: groups[name].agg(_mean_or_nan) for name in ("distance", *SCORES)})
    alike = {name: rows[name].iloc[0] for name in ("feature_network", "score", "n_samples")}
    if "whole" in rows:
        found["whole"] = groups["whole"].agg(_mean_or_nan)
    return found.assign(seeds=groups.size()).reset_index().assign(**alike)


def best_settings(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The setting of lowest distance for each ae, repa and step; groups that diverged throughout are left out."""
    return lowest(settings, ["ae", "repa", "step"])


def pool(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The settings that "best" is of wherever autoencoders of a study are compared: those that all were run with.

    At the last step that all reached. Of a whole grid these are all rows of that step. While it is half done, whoever
    has most of them would look best. Empty where nothing is shared.
    """
    steps = _common_steps(settings)
    return shared_settings(settings[settings["step"] == max(steps)], "ae") if steps else settings.head(0)


def best_per_ae(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The row of lowest distance for each ae, over the `pool` of all; where nothing is shared, over its own settings.

    Those are of the last step at which it has a finite distance.
    """
    shared = pool(settings)
    return lowest(_at_own_last_step(settings) if shared.empty else shared, ["ae"])


def whole_groups(settings: pandas.DataFrame, parameter: str) -> set[tuple[str, str]]:
    """Each (ae, repa) that was tried with as many values of `parameter` as any other was, in settings of one step.

    Of the rest the best value may be among those that are missing.
    """
    tried = settings.groupby(["ae", "repa"])[parameter].nunique()
    return {(str(ae), str(repa)) for ae, repa in tried.index[tried == tried.max()]}


def no_shift(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The rows trained and sampled without timeshift: both shifts are 1."""
    return settings[(settings["trainshift"] == 1.0) & (settings["sampleshift"] == 1.0)]


def at(settings: pandas.DataFrame, setting: Mapping[str, object]) -> pandas.DataFrame:
    """The rows of one setting, given by some of the columns."""
    return settings[(settings[list(setting)] == pandas.Series(setting)).all(axis=1)]


def best_at_each_step(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The row of lowest distance for each ae, repa and step, over the settings that all autoencoders share there.

    Where they share none, over each one's own. The setting may be another from step to step.
    """
    parts = []
    for _, same in settings.groupby(["repa", "step"]):
        shared = shared_settings(same, "ae")
        parts.append(lowest(same if shared.empty else shared, ["ae"]))
    return pandas.concat(parts, ignore_index=True) if parts else settings


def last_common_step(settings: pandas.DataFrame) -> int:
    """The last step at which every autoencoder has a row: where they can be compared.

    Raises:
        LrcoreError: there is none.
    """
    common = _common_steps(settings)
    if not common:
        raise LrcoreError("the autoencoders have no evaluated step in common; let the study run on")
    return max(common)


def shared_settings(settings: pandas.DataFrame, over: str) -> pandas.DataFrame:
    """The rows of settings that were measured with every value of the column `over`, such as "ae" or "trainp".

    What is best of each value can then be compared while a grid is half done, when some values were tried with more
    settings than others. Of a whole grid these are all rows.
    """
    held = [name for name in (*SETTING, "step") if name != over]
    values = settings.groupby(held)[over].transform("nunique")
    return settings[values == settings[over].nunique()]


def comparable_best(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The row of lowest distance for each ae, over the `pool` of all; none where no setting is shared.

    Raises:
        LrcoreError: as `last_common_step`.
    """
    last_common_step(settings)
    return lowest(pool(settings), ["ae"])


def by_value(settings: pandas.DataFrame, parameter: str) -> pandas.DataFrame:
    """The lowest distance of each value of `parameter` for each ae, repa and step, over the settings its values share.

    Columns ae, repa, step, value, distance, and `behind`, by how much it is worse than the best value, relative: 0 for
    that one. Values that diverged throughout are left out. The best value of each group comes first.
    """
    group = ["ae", "repa", "step"]
    shared = [shared_settings(part, parameter) for _, part in settings.groupby(group)]
    kept = pandas.concat(shared) if shared else settings
    found = _in_order(lowest(kept, [*group, parameter]), group)
    return found.rename(columns={parameter: "value"})[[*group, "value", "distance", "behind"]]


def sensitivity(settings: pandas.DataFrame, step: int, repa: str = NO_REPA) -> pandas.DataFrame:
    """How the distance depends on one parameter with the others held at the autoencoder's best.

    One row per ae, parameter and value at `step`: ae, parameter, value (text), distance, best (whether the value is
    that of the best setting). Autoencoders without a finite row at `step` and `repa` are left out.
    """
    at = settings[(settings["step"] == step) & (settings["repa"] == repa)]
    pieces = []
    for _, best in lowest(at, ["ae"]).iterrows():
        for parameter in PARAMETERS:
            held = [name for name in SETTING if name != parameter]
            swept = at[(at[held] == best[held]).all(axis=1)].sort_values(parameter)
            pieces.append(
                pandas.DataFrame(
                    {
                        "ae": best["ae"],
                        "parameter": parameter,
                        "value": [value_text(value) for value in swept[parameter]],
                        "distance": swept["distance"].to_numpy(),
                        "best": (swept[parameter] == best[parameter]).to_numpy(),
                    }
                )
            )
    empty = pandas.DataFrame(columns=["ae", "parameter", "value", "distance", "best"])
    return pandas.concat(pieces, ignore_index=True) if pieces else empty


def winning_densities(settings: pandas.DataFrame) -> pandas.DataFrame:
    """Which training density does best for each ae, repa and step, every density at the best shifts it has.

    Columns ae, repa, step, trainp, distance; `runner_up`, the second best density, and `margin`, by how much it is
    worse, relative; NaN and "" where there is one density only.
    """
    group = ["ae", "repa", "step"]
    ordered = _in_order(lowest(settings, [*group, "trainp"]), group)
    place = ordered.groupby(group).cumcount()
    second = ordered[place == 1].rename(columns={"trainp": "runner_up", "behind": "margin"})
    found = ordered[place == 0].merge(second[[*group, "runner_up", "margin"]], on=group, how="left")
    found = found.assign(runner_up=found["runner_up"].fillna(""))
    return found[[*group, "trainp", "distance", "runner_up", "margin"]]


def shifts_and_prediction(settings: pandas.DataFrame, channels: Mapping[str, int]) -> pandas.DataFrame:
    """The best shifts of each ae, repa and step beside sqrt(m / n), m the channels per token of the ae and n the least.

    That is the shift between latents whose channels repeat one another (`lrcore.flow.timesteps.timeshift`), the least
    wide one needing none. Columns ae, repa, step, channels, predicted, trainshift, sampleshift, and whether each is the
    value `nearest` to the prediction, on a logarithmic scale, of those that were tried: trainshift_predicted,
    sampleshift_predicted.

    Raises:
        LrcoreError: an autoencoder without a number of channels.
    """
    predicted = predicted_shifts(settings["ae"], channels)
    best = best_settings(settings)[["ae", "repa", "step", "trainshift", "sampleshift"]]
    best = best.assign(channels=best["ae"].map(channels), predicted=best["ae"].map(predicted))
    for parameter in ("trainshift", "sampleshift"):
        tried = sorted(settings[parameter].unique())
        best[f"{parameter}_predicted"] = [
            found == nearest_shift(tried, wanted)
            for found, wanted in zip(best[parameter], best["predicted"], strict=True)
        ]
    return best


def predicted_shifts(aes: Iterable[str], channels: Mapping[str, int]) -> dict[str, float]:
    """sqrt(m / n) of each ae: m its channels per token, n the least of all of them.

    Raises:
        LrcoreError: an autoencoder without a number of channels.
    """
    names = sorted(set(aes))
    if missing := [ae for ae in names if ae not in channels]:
        raise LrcoreError(f"channels per token are not known of: {', '.join(missing)}")
    least = min((channels[ae] for ae in names), default=1)
    return {ae: math.sqrt(channels[ae] / least) for ae in names}


def spreads(settings: pandas.DataFrame, step: int, repa: str = NO_REPA, outlier: float = math.inf) -> pandas.DataFrame:
    """Relative spread of the distance per parameter around each ae's best of all its own settings.

    Columns ae, parameter, spread; `values`, how many have a finite distance of at most `outlier`; `tried`, how many
    were tried there at all, and `of`, how many the study has of the parameter. The spread of fewer than two is NaN. The
    study that we follow leaves out FIDs above 50. A spread grows with the number of values: where fewer were tried than
    the study has, it is a lower bound, and not `whole`.
    """
    swept = sensitivity(settings, step, repa)
    at = settings[(settings["step"] == step) & (settings["repa"] == repa)]
    swept["of"] = swept["parameter"].map(at[list(PARAMETERS)].nunique())
    swept["tried"] = swept.groupby(["ae", "parameter"])["value"].transform("nunique")
    groups = swept[swept["distance"] <= outlier].groupby(["ae", "parameter"], sort=False)
    found = groups.agg(
        spread=("distance", relative_spread), values=("distance", "size"), tried=("tried", "first"), of=("of", "first")
    ).reset_index()
    return found.assign(whole=found["tried"] == found["of"])


def effect_of_repa(settings: pandas.DataFrame, itself: bool = False) -> pandas.DataFrame:
    """What REPA towards an encoder, or towards the model `itself`, changes for each ae and step: `best`, of the best
    settings with it to those without, relative.

    `paired` is the median over the `pairs` of runs that differ in REPA alone. Negative where REPA helps; steps and
    autoencoders without both are left out. Columns ae, step, best, paired, pairs.
    """
    settings = settings[(settings["repa"] == NO_REPA) | ((settings["repa"] == SELF_REPA) == itself)]
    on = settings["repa"] != NO_REPA
    held = ["ae", "step", *PARAMETERS]
    both = (
        settings[on]
        .merge(settings[~on], on=held, suffixes=("", "_without"))
        .dropna(subset=["distance", "distance_without"])
    )
    both = both.assign(paired=relative_change(both["distance"], both["distance_without"]))
    lowest = {
        kind: rows.dropna(subset="distance").groupby(["ae", "step"])["distance"].min()
        for kind, rows in (("with", settings[on]), ("without", settings[~on]))
    }
    groups = both.groupby(["ae", "step"])["paired"]
    found = pandas.DataFrame({"paired": groups.median(), "pairs": groups.size()})
    found.insert(0, "best", relative_change(lowest["with"], lowest["without"]).reindex(found.index))
    return found.reset_index()


def relative_spread(distances: Iterable[float]) -> float:
    """(worst - best) / best of the finite distances; NaN for fewer than two of them, or if the best is not above 0."""
    finite = [distance for distance in distances if math.isfinite(distance)]
    if len(finite) < 2 or min(finite) <= 0:  # an unbiased distance may be below 0
        return math.nan
    return (max(finite) - min(finite)) / min(finite)


def relative_change(value: NumberT, baseline: NumberT) -> NumberT:
    """(value - baseline) / baseline: -0.5 is half the baseline; NaN where that is 0. Numbers, or columns of them."""
    if isinstance(baseline, float) and baseline == 0:
        return math.nan  # of an autoencoder without loss
    return (value - baseline) / baseline


def nearest_shift(tried: Iterable[float], wanted: float) -> float:
    """Of the shifts tried the one nearest to that wanted, on a logarithmic scale."""
    return min(tried, key=lambda shift: abs(math.log(shift / wanted)))


def by_ae(rows: pandas.DataFrame, column: str) -> dict[str, float]:
    """A column by autoencoder."""
    return {str(ae): float(value) for ae, value in zip(rows["ae"], rows[column], strict=True)}


def _common_steps(settings: pandas.DataFrame) -> set[int]:
    """The steps at which every autoencoder has a row."""
    steps = [set(map(int, group["step"])) for _, group in settings.groupby("ae")]
    return set.intersection(*steps) if steps else set()


def _at_own_last_step(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of each ae at the last step at which it has a finite distance."""
    finite = settings.dropna(subset="distance")
    return finite[finite["step"] == finite.groupby("ae")["step"].transform("max")]


def lowest(settings: pandas.DataFrame, groups: list[str]) -> pandas.DataFrame:
    """The setting of lowest distance of each of the groups, those of finite distances; float32 decides between those
    of half precision that may be the lowest (`records.paired.ranking`)."""
    finite = settings.dropna(subset="distance")
    ranked = finite["distance"]
    if "whole" in finite and len(finite):
        parts = [paired.ranking(part["distance"], part["whole"]) for _, part in finite.groupby(groups)]
        ranked = pandas.concat(parts).reindex(finite.index)
    return finite.loc[ranked.groupby([finite[name] for name in groups]).idxmin()].reset_index(drop=True)


def _in_order(rows: pandas.DataFrame, group: list[str]) -> pandas.DataFrame:
    """By group, the best row of each first, and `behind`, by how much a row is worse than that, relative; float32
    decides as in `lowest`, and then tells by how much."""
    parts = []
    for _, part in rows.groupby(group):
        ranked = paired.ranking(part["distance"], part["whole"]) if "whole" in part else part["distance"]
        best = part["distance"].iloc[ranked.argmin()]
        behind = relative_change(ranked, pandas.Series(ranked.min(), part.index))
        others = relative_change(part["distance"], pandas.Series(best, part.index))
        order = part.assign(first=ranked, behind=behind.where(ranked.notna(), others))
        parts.append(order.sort_values(["first", "distance"]).drop(columns="first"))
    return pandas.concat(parts, ignore_index=True) if parts else rows.assign(behind=math.nan)


def _mean_or_nan(values: pandas.Series) -> float:
    """The mean; NaN where one value is."""
    return float(values.mean(skipna=False))
