"""The findings of published studies as computations over the rows of one study, each with a verdict.

    for claim in judged(load_studies("data")["smoke"], read_published("data")):
        print(claim.verdict, claim.claim, claim.here)

Distances are those at the last step that all measured autoencoders reached. Autoencoders are compared at their chosen
settings where a study measured these anew; else, and as values of a parameter are, by the lowest over the settings that
all of them were measured with, so that a grid may be half done. What a verdict means stands in
`lrcore.results.verdicts`; a claim is *incomplete* while an autoencoder of the study that it speaks of has no rows to
compare.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas

from lrcore.errors import LrcoreError
from lrcore.results import agreement, findings, naming, numbers, published_wording, tuning_claims
from lrcore.results.claim_parts import Claim, is_value, lacking, of_all, so_far, turned, without_repa
from lrcore.results.evidence import Evidence, evidence
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED
from lrcore.results.study_rows import StudyRows
from lrcore.results.verdicts import (
    CONFOUNDED,
    INCOMPLETE,
    MISSING,
    lead,
    overall,
    verdict_on,
    verdict_on_choices,
    verdict_on_lead,
)
from lrcore.results.wording import encoder_note, labels, named, named_choices, named_spreads, narrow_note, tau_text

FIDELITY = "lpips_vgg"
"""The metric of fidelity that stands for the published LPIPS."""

_SOME = ("ln", "pln")


def judged(study: StudyRows, published: pandas.DataFrame) -> list[Claim]:
    """Every claim about `study`, in the order in which the site shows them.

    Raises:
        LrcoreError: as `evidence`, or a published figure that a claim quotes is missing.
    """
    given = evidence(study, published)
    return [_considered(study, judge, judge.claim(given)) for judge in CLAIMS]


@dataclass(frozen=True)
class Judge:
    """How a claim is judged, and what can confound it.

    `of`: the autoencoders that it rests on, empty for all; `across`: whether it compares distances over what was shown
    an encoder's features and what was not: RAE, FLUX.2 and REPA against the others.
    """

    claim: Callable[[Evidence], Claim]
    of: tuple[str, ...] = ()
    across: bool = False


def _considered(study: StudyRows, judge: Judge, claim: Claim) -> Claim:
    """The claim with what confounds it; what has no rows is not confounded."""
    rows = study.generation
    of = rows[rows["ae"].isin(judge.of)] if judge.of else rows
    notes = [narrow_note(of), encoder_note(rows) if judge.across else ""]
    caution = " ".join(filter(None, notes))
    if not caution or claim.verdict in (MISSING, INCOMPLETE):
        return claim
    return dataclasses.replace(claim, verdict=CONFOUNDED, caution=caution)


def as_frame(claims: Iterable[Claim]) -> pandas.DataFrame:
    """One row a claim, with the fields of `Claim` as columns."""
    return pandas.DataFrame([vars(claim) for claim in claims], columns=list(Claim.__dataclass_fields__))


def best_density(given: Evidence) -> Claim:
    """The best training density is ln or pln, never ts: for every ae and REPA, each density at its best shifts."""
    found = findings.by_value(given.where("trainp"), "trainp")
    found = found.pivot(index=["ae", "repa"], columns="value", values="distance").reindex(columns=["ts", *_SOME])
    behind = findings.relative_change(found["ts"], found[list(_SOME)].min(axis=1)).dropna()
    verdicts = [verdict_on(difference, given.noise) for difference in behind]
    here = ""
    if len(behind):
        here = (
            f"ts is behind in {numbers.part(int((behind > 0).sum()), len(behind), 'comparison')}, by "
            f"{' to '.join(dict.fromkeys(numbers.percent(end) for end in (behind.min(), behind.max())))}"
        )
    share = _figure(given, FOLLOWED, "best_trainp_is_ts")
    return Claim(
        "The best training density is ln or pln, never ts.",
        FOLLOWED,
        f"ts is best in {as_printed(share)} % of cases",
        here + so_far(given, behind.index.get_level_values("ae")) if here else _without_density(given),
        of_all(given, set(behind.index.get_level_values("ae")), verdicts),
    )


def train_shift_grows(given: Evidence) -> Claim:
    """The best train shift grows with the channels per token: it never falls from one ae to a wider one, without REPA.

    And it is larger for the widest than for the narrowest; equal ones between are allowed, as shifts are on a grid.
    """
    shifts = without_repa(given, "trainshift")
    order = sorted(shifts, key=lambda ae: given.channels[ae])
    tau, _ = agreement.kendall(given.channels, {ae: values[0] for ae, values in shifts.items()})
    verdict = verdict_on_choices([shifts[ae] for ae in order], _grows, given.noise)
    here = f"{named_choices(shifts, order)}; rank correlation with channels {tau_text(tau)}"
    return Claim(
        "The best train shift grows with the channels per token.",
        FOLLOWED,
        published_wording.published_best(given.published, "trainshift"),
        here + so_far(given, shifts) if shifts else lacking(given, shifts),
        of_all(given, set(shifts), [verdict]),
    )


def train_shift_predicted(given: Evidence) -> Claim:
    """The best train shift is sqrt(m / n): see `_predicted`."""
    return _predicted(given, "trainshift")


def sample_shift_predicted(given: Evidence) -> Claim:
    """The best sample shift is sqrt(m / n): see `_predicted`."""
    return _predicted(given, "sampleshift")


def sample_shift_of_wide_latents(given: Evidence) -> Claim:
    """The best sample shift is larger for FLUX.2 and RAE than for SD, without REPA."""
    shifts = without_repa(given, "sampleshift")
    needed = ("sd", "flux2", "rae")
    whole = set(needed) <= set(shifts)
    verdict = INCOMPLETE if shifts else MISSING
    if whole:
        chosen = [shifts[ae] for ae in needed]
        verdict = verdict_on_choices(chosen, lambda values: min(values[1:]) > values[0], given.noise)
    return Claim(
        "The best sample shift is larger for the wide latents of FLUX.2 and RAE than for SD.",
        FOLLOWED,
        published_wording.published_best(given.published, "sampleshift"),
        named_choices(shifts, needed) if whole else lacking(given, shifts),
        verdict,
    )


def train_shift_matters_most(given: Evidence) -> Claim:
    """The train shift matters more than the density and the sample shift, for every ae without REPA.

    The worst distance of its values is compared with the worst of the others': the best one is the same setting.
    """
    steps = given.settings["step"]
    found = findings.spreads(given.settings, int(steps.max()))
    whole = found[found["whole"]].pivot(index="ae", columns="parameter", values="spread")
    wide = whole.reindex(columns=list(findings.PARAMETERS)).dropna()
    others = wide[["trainp", "sampleshift"]].max(axis=1)
    ahead = findings.relative_change(1 + wide["trainshift"], 1 + others)
    return Claim(
        "The train shift matters most: more than the density and the sample shift.",
        FOLLOWED,
        published_wording.published_spreads(given.published),
        named_spreads(wide) if len(wide) else _spreads_so_far(given, found),
        of_all(given, set(wide.index), [verdict_on(difference, given.noise) for difference in ahead])
        if len(wide) or found["spread"].isna().all()
        else INCOMPLETE,
    )


def order_of_learnability(given: Evidence) -> Claim:
    """The autoencoders stand in the order of the published gFID: every pair of them does."""
    told = _published_by_ae(given, FOLLOWED, "gfid", "trade-off")
    ours = given.distances(ae for ae in given.aes if ae in told)
    here = f"{_order_text(given, ours, told)}{_unaligned(given, ours, told)}"
    return Claim(
        "The order from the most to the least learnable is "
        f"{', '.join(labels(sorted(told, key=lambda ae: told[ae])))}.",
        FOLLOWED,
        f"gFID {named(told, as_printed)}",
        here if ours else lacking(given, given.settings["ae"]),
        _in_order(given, ours, told),
    )


def flux2_against_sd(given: Evidence) -> Claim:
    """FLUX.2 improves on SD in learnability and in fidelity."""
    return _against_sd(given, "FLUX.2 is more learnable than SD and more faithful.", "flux2", 1, 1)


def flux1_against_sd(given: Evidence) -> Claim:
    """FLUX.1 is more faithful than SD and less learnable."""
    return _against_sd(given, "FLUX.1 is more faithful than SD and less learnable.", "flux1", -1, 1)


def rae_against_sd(given: Evidence) -> Claim:
    """RAE is more learnable than SD and less faithful."""
    return _against_sd(given, "RAE is more learnable than SD and less faithful.", "rae", 1, -1)


def repa_helps(given: Evidence) -> Claim:
    """REPA lowers the distance of every ae: the median over pairs of trainings that differ in REPA alone.

    A median of several pairs deviates less than one difference, so the noise is on the safe side.
    """
    effect = findings.effect_of_repa(given.where("repa")).set_index("ae")
    told = given.published[given.published["source"] == "yu2025repa"]
    parts = [
        f"{naming.ae_style(ae).label} {numbers.percent(effect['paired'][ae])} ({_of_pairs(int(effect['pairs'][ae]))})"
        for ae in naming.in_order(effect.index)
    ]
    return Claim(
        "REPA makes every latent space more learnable.",
        "yu2025repa",
        "; ".join(f"{row['quantity']} {as_printed(row['value'])}" for _, row in told.iterrows())
        or "no value quoted here",
        f"{given.label} {', '.join(parts)}{so_far(given, effect.index)}" if parts else lacking(given, parts),
        of_all(given, set(effect.index), [verdict_on(turned(change), given.noise) for change in effect["paired"]]),
    )


def _of_pairs(count: int) -> str:
    return "one pair" if count == 1 else f"median of {count} pairs"


def interpolation_orders(given: Evidence) -> Claim:
    """The interpolated Frechet distance, which needs no training, orders the autoencoders as learnability does.

    By great circles, as its authors measure it, unless more autoencoders were measured by straight lines.
    """
    source = "xu2026ifid"
    told, found = (_published_by_ae(given, source, quantity) for quantity in ("ifid", "gfid"))
    tau, count = agreement.kendall(told, found)
    whole = given.latents[(given.latents["index"] < 0) & given.latents["ae"].isin(given.aes)]
    each = {metric: findings.by_ae(whole[whole["metric"] == metric], "value") for metric in _INTERPOLATED}
    metric = max(each, key=lambda metric: len(each[metric]))
    interpolated, name = each[metric], _INTERPOLATED[metric]
    ours = given.distances(ae for ae in given.aes if ae in interpolated)
    return Claim(
        "The interpolated Fréchet distance orders autoencoders as learnability does.",
        source,
        f"rank correlation {tau_text(tau)} over {count} autoencoders: iFID {named(told, as_printed)}; "
        f"gFID {named(found, as_printed)}",
        f"{_order_text(given, ours, interpolated)}; {name} {named(interpolated)}"
        if ours
        else lacking(given, given.settings["ae"]),
        _in_order(given, ours, interpolated),
    )


_INTERPOLATED = {
    "ifid_great_circle": "iFID on great circles",
    "ifd_great_circle": "iFD on great circles",
    "ifid": "iFID",
    "ifd": "iFD",
}
"""What the interpolated distances are called, those by the protocol of their authors first."""


CLAIMS = (
    Judge(order_of_learnability, across=True),
    Judge(flux2_against_sd, ("flux2", "sd"), across=True),
    Judge(flux1_against_sd, ("flux1", "sd")),
    Judge(rae_against_sd, ("rae", "sd"), across=True),
    Judge(best_density),
    Judge(train_shift_grows),
    Judge(train_shift_predicted),
    Judge(sample_shift_predicted),
    Judge(sample_shift_of_wide_latents, ("sd", "flux2", "rae")),
    Judge(train_shift_matters_most),
    Judge(tuning_claims.shift_decides, ("rae", "flux2"), across=True),
    Judge(tuning_claims.sample_shift_is_larger),
    Judge(repa_helps, across=True),
    Judge(tuning_claims.repa_lowers_the_train_shift),
    Judge(tuning_claims.ln_with_repa_beats_raes_own, ("rae",), across=True),
    Judge(tuning_claims.flux2_comes_nearest, across=True),
    Judge(tuning_claims.itself_teaches_as_well, across=True),
    Judge(interpolation_orders, across=True),
)
"""In the order of the site: the autoencoders, the timesteps, the rest."""


def _predicted(given: Evidence, parameter: str) -> Claim:
    """The best shift is of those tried the nearest to sqrt(m / n), for every ae, with REPA and without."""
    predicted = findings.predicted_shifts(given.aes, given.channels)
    tried = given.settings[parameter].unique().tolist()
    groups = given.values(parameter)
    wanted = {key: findings.nearest_shift(tried, predicted[key[0]]) for key in groups}
    verdicts = [is_value(values, wanted[key], given.noise) for key, values in groups.items()]
    agreeing = sum(values[0] == wanted[key] for key, values in groups.items())
    sizes = ", ".join(f"{predicted[ae]:.2f} for {naming.ae_style(ae).label}" for ae in naming.in_order(predicted))
    name = naming.PARAMETER_LABELS[parameter]
    apart = ", with and without REPA apart" if len(groups) > len({ae for ae, _ in groups}) else ""
    return Claim(
        f"A hypothesis: the best {name} is the one nearest to √(m / n), the root of the ratio of channels per token.",
        FOLLOWED,
        f"{published_wording.published_best(given.published, parameter)}; predicted "
        f"{published_wording.published_prediction(given.published)}",
        f"predicted {sizes}; the nearest value that was tried is the best in "
        f"{numbers.part(agreeing, len(groups), 'case')}{apart}{so_far(given, (ae for ae, _ in groups))}"
        if groups
        else lacking(given, []),
        of_all(given, {ae for ae, _ in groups}, verdicts),
        hypothesis=True,
    )


def _against_sd(given: Evidence, claim: str, ae: str, learnability: int, fidelity: int) -> Claim:
    """`learnability` and `fidelity` are 1 where the claim is that `ae` is better than SD in it, -1 where worse."""
    ours = given.distances((ae, "sd"))
    change = findings.relative_change(ours[ae], ours["sd"]) if ours else math.nan
    blurred, noise = _fidelity_change(given.reconstruction, ae)
    metric = naming.metric_style(FIDELITY).label
    return Claim(
        claim,
        FOLLOWED,
        published_wording.published_comparison(given.published, ae, "sd").split(": ", 1)[1],
        f"{given.label} {numbers.percent(change)}, {_by_frechet(given, ae)}{metric} {numbers.percent(blurred)}",
        overall(
            [
                verdict_on(turned(change) if learnability > 0 else change, given.noise_of_best),
                verdict_on(turned(blurred) if fidelity > 0 else blurred, noise),
            ]
        ),
    )


def _by_frechet(given: Evidence, ae: str) -> str:
    """The change from SD to `ae` by the Fréchet distance where it accompanies another, which it may contradict."""
    pair = [given.frechet.get(one, math.nan) for one in (ae, "sd")]
    return (
        f"Fréchet distance {numbers.percent(findings.relative_change(*pair))}, "
        if all(map(math.isfinite, pair))
        else ""
    )


def _fidelity_change(reconstruction: pandas.DataFrame, ae: str) -> tuple[float, float]:
    """The relative change of `FIDELITY` from SD to `ae`, and what two standard errors of its logarithm make of it.

    Both are of the same images, whose errors are taken as independent: too much, if anything.
    """
    rows = reconstruction[reconstruction["metric"] == FIDELITY]
    value, error = findings.by_ae(rows, "value"), findings.by_ae(rows, "standard_error")
    if not {ae, "sd"} <= set(value) or value["sd"] == 0:
        return math.nan, math.nan
    shares = [error[one] / value[one] for one in (ae, "sd") if value[one] > 0]
    return value[ae] / value["sd"] - 1, math.expm1(2 * math.hypot(*shares))


def _in_order(given: Evidence, ours: Mapping[str, float], told: Mapping[str, float]) -> str:
    """Whether every two autoencoders that `told` orders stand in that order; of too few there is no order."""
    shared = [ae for ae in ours if ae in told]
    if len(shared) < agreement.FEWEST:
        return INCOMPLETE if given.best else MISSING
    pairs = [sorted(pair, key=lambda ae: told[ae]) for pair in itertools.combinations(shared, 2)]
    differ = [(first, second) for first, second in pairs if told[first] != told[second]]
    return overall(verdict_on_lead(lead(ours[first], ours[second]), given.noise_of_best) for first, second in differ)


def _grows(values: tuple[float, ...]) -> bool:
    rising = all(before <= after for before, after in itertools.pairwise(values))
    return rising and len(values) > 1 and values[-1] > values[0]


def _published_by_ae(given: Evidence, source: str, quantity: str, table: str | None = None) -> dict[str, float]:
    rows = given.published
    rows = rows[(rows["source"] == source) & (rows["quantity"] == quantity)]
    if table is not None:
        rows = rows[rows["table"] == table]
    if rows.empty:
        raise LrcoreError(f"no rows: no published {quantity} of {source}")
    return findings.by_ae(rows, "value")


def _figure(given: Evidence, source: str, quantity: str) -> float:
    rows = given.published
    values = rows.loc[(rows["source"] == source) & (rows["quantity"] == quantity), "value"]
    if values.empty:
        raise LrcoreError(f"no rows: no published {quantity} of {source}")
    return float(values.iloc[0])


def _order_text(given: Evidence, ours: Mapping[str, float], told: Mapping[str, float]) -> str:
    tau, count = agreement.kendall(ours, told)
    told_of = (
        f"rank correlation {tau_text(tau)} over {count} autoencoders ({math.factorial(count)} orders are possible)"
    )
    return f"{given.label} {named(ours)}; {told_of}"


def _unaligned(given: Evidence, ours: Mapping[str, float], told: Mapping[str, float]) -> str:
    """What the verdict is without FLUX.2, since its latents learned from an encoder's features."""
    if not {"rae", "flux2"} <= set(ours):
        return ""
    verdict = _in_order(given, {ae: distance for ae, distance in ours.items() if ae != "flux2"}, told)
    return f"; without FLUX.2, which is aligned with an encoder as RAE is made of one: {verdict}"


def _without_density(given: Evidence) -> str:
    """Why no density can be compared with another."""
    densities = sorted({*given.settings["trainp"], *given.varied["trainp"]})
    if len(densities) == 1:
        return f"only the density {densities[0]} was tried"
    return "ts, and ln or pln, were not tried with the same shifts"


def _spreads_so_far(given: Evidence, found: pandas.DataFrame) -> str:
    """What rows of `findings.spreads` say of each choice before all of its values are tried with every autoencoder."""
    parts = []
    for parameter in findings.PARAMETERS:
        name, own = naming.PARAMETER_LABELS[parameter], found[found["parameter"] == parameter].dropna(subset="spread")
        if own.empty:
            parts.append(f"{name} not varied")
            continue
        ends = [numbers.percent(share, signed=False) for share in (own["spread"].min(), own["spread"].max())]
        text = f"{name} {' to '.join(dict.fromkeys(ends))}"
        some = own[~own["whole"]]
        counts = [
            f"{row.tried} of {row.of} values with {naming.ae_style(str(row.ae)).label}" for row in some.itertuples()
        ]
        parts.append(f"{text} or more (tried: {', '.join(counts)})" if counts else text)
    varied = found["spread"].notna().any()
    return "; ".join(parts) if varied else lacking(given, [])
