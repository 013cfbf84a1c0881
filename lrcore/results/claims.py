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
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas

from lrcore.errors import LrcoreError
from lrcore.results import agreement, findings, naming, numbers, order_claims, published_wording, tuning_claims
from lrcore.results.claim_parts import Claim, is_value, lacking, of_all, so_far, turned, without_repa
from lrcore.results.evidence import Evidence, evidence
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED
from lrcore.results.study_rows import StudyRows
from lrcore.results.verdicts import (
    CONFOUNDED,
    INCOMPLETE,
    MISSING,
    verdict_on,
    verdict_on_choices,
)
from lrcore.results.wording import encoder_note, named_choices, named_spreads, narrow_note, tau_text

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


CLAIMS = (
    Judge(order_claims.order_of_learnability, across=True),
    Judge(order_claims.flux2_against_sd, ("flux2", "sd"), across=True),
    Judge(order_claims.flux1_against_sd, ("flux1", "sd")),
    Judge(order_claims.rae_against_sd, ("rae", "sd"), across=True),
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
    Judge(order_claims.interpolation_orders, across=True),
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


def _grows(values: tuple[float, ...]) -> bool:
    rising = all(before <= after for before, after in itertools.pairwise(values))
    return rising and len(values) > 1 and values[-1] > values[0]


def _figure(given: Evidence, source: str, quantity: str) -> float:
    rows = given.published
    values = rows.loc[(rows["source"] == source) & (rows["quantity"] == quantity), "value"]
    if values.empty:
        raise LrcoreError(f"no rows: no published {quantity} of {source}")
    return float(values.iloc[0])


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
