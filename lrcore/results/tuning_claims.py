"""What the study that we follow found of tuned timesteps and of REPA together, as claims."""

from __future__ import annotations

import math

import pandas

from lrcore.results import findings, naming, numbers, published_wording
from lrcore.results.claim_parts import Claim, lacking, of_all, so_far, turned, without_repa
from lrcore.results.evidence import Evidence
from lrcore.results.published import FOLLOWED, RAES_OWN
from lrcore.results.verdicts import (
    INCOMPLETE,
    MISSING,
    lead,
    overall,
    verdict_on,
    verdict_on_choices,
    verdict_on_lead,
)
from lrcore.results.wording import named, named_choices
from lrcore.spec.study import NO_REPA, SELF_REPA

UNQUOTED = "no value quoted here"


def shift_decides(given: Evidence) -> Claim:
    """RAE at shifts of 1 is behind FLUX.2 at its best, and at its own best ahead of it; without REPA."""
    plain = given.settings["repa"] == NO_REPA
    untuned = _lowest(findings.no_shift(given.settings[plain])).get("rae", math.nan)
    tuned = _best_of_pool(given.settings, ("rae", "flux2"), {NO_REPA})
    if len(tuned) == 2 and math.isfinite(untuned):
        ways = lead(tuned["flux2"], untuned), lead(tuned["rae"], tuned["flux2"])
        verdict = overall(verdict_on_lead(ahead, given.noise) for ahead in ways)
        text = (
            f"{given.label} of RAE without shift {numbers.shown(untuned)}; at the best of the settings that all "
            f"autoencoders share, without REPA, {named(tuned)}"
        )
    else:
        verdict = INCOMPLETE if given.best else MISSING
        text = "RAE was not measured at shifts of 1" if len(tuned) == 2 else lacking(given, tuned)
    return Claim(
        "Without a shift RAE loses to a tuned FLUX.2; when both are tuned it wins.",
        FOLLOWED,
        _gfid(given, ("rae", "flux2")) + ", both tuned",
        text,
        verdict,
    )


def sample_shift_is_larger(given: Evidence) -> Claim:
    """The best sample shift is at least the best train shift, for every ae, without REPA."""
    train, sample = without_repa(given, "trainshift"), without_repa(given, "sampleshift")
    both = [ae for ae in naming.in_order(train) if ae in sample]
    verdicts = [
        verdict_on_choices([train[ae], sample[ae]], lambda chosen: chosen[1] >= chosen[0], given.noise) for ae in both
    ]
    here = f"train shift {named_choices(train, both)}; sample shift {named_choices(sample, both)}"
    published = (published_wording.published_best(given.published, name) for name in ("trainshift", "sampleshift"))
    return Claim(
        "The best sample shift is at least as large as the best train shift.",
        FOLLOWED,
        "train shift {}; sample shift {}".format(*published),
        here + so_far(given, both) if both else lacking(given, both),
        of_all(given, set(both), verdicts),
    )


def repa_lowers_the_train_shift(given: Evidence) -> Claim:
    """With REPA the best train shift of no ae is larger than without, and of one at least it is smaller."""
    found = given.values("trainshift")
    pairs = {
        ae: (values, found[ae, repa])
        for (ae, kind), values in found.items()
        for repa in sorted({other for one, other in found if one == ae} - {NO_REPA, SELF_REPA})
        if kind == NO_REPA
    }
    choices = [values for pair in pairs.values() for values in pair]
    verdict = verdict_on_choices(choices, _never_rises, given.noise) if pairs else MISSING
    sides = [{ae: pair[side] for ae, pair in pairs.items()} for side in (0, 1)]
    here = "without REPA {}; with it {}".format(*(named_choices(side, naming.in_order(side)) for side in sides))
    return Claim(
        "REPA lowers the best train shift.",
        FOLLOWED,
        published_wording.published_best(given.published, "trainshift"),
        here + so_far(given, pairs) if pairs else "no train shifts with and without REPA yet",
        of_all(given, set(pairs), [verdict]),
    )


def ln_with_repa_beats_raes_own(given: Evidence) -> Claim:
    """In RAE's latent space ln with REPA is ahead of the setting that its authors chose, which has none."""
    rows = given.settings[given.settings["ae"] == "rae"]
    own = _lowest(_at_own_setting(rows)).get("rae", math.nan)
    with_repa = ~rows["repa"].isin((NO_REPA, SELF_REPA)) & (rows["trainp"] == "ln")
    other = _lowest(rows[with_repa]).get("rae", math.nan)
    sides = math.isfinite(own) + math.isfinite(other)
    both = sides == 2
    return Claim(
        "ln with REPA beats RAE's own setting, ts at shifts of 6.93.",
        FOLLOWED,
        UNQUOTED,
        f"{given.label} {numbers.shown(other)} with ln and REPA, {numbers.shown(own)} at RAE's own setting"
        if both
        else "RAE was not measured both ways",
        verdict_on_lead(lead(other, own), given.noise) if both else INCOMPLETE if sides else MISSING,
    )


def flux2_comes_nearest(given: Evidence) -> Claim:
    """FLUX.2 at its best is nearer to RAE at its own setting than SD and FLUX.1 are: the ratio is nearer to 1."""
    own = _lowest(_at_own_setting(given.settings)).get("rae", math.nan)
    best = _best_of_pool(given.settings, ("flux2", "sd", "flux1"), set(given.settings["repa"]))
    known = len(best) == 3 and math.isfinite(own) and min(*best.values(), own) > 0
    verdicts = []
    if known:
        away = {ae: abs(math.log(distance / own)) for ae, distance in best.items()}
        verdicts = [verdict_on(math.expm1(away[ae] - away["flux2"]), given.noise) for ae in ("sd", "flux1")]
    return Claim(
        "FLUX.2 comes nearer to RAE's own setting than SD and FLUX.1 do.",
        FOLLOWED,
        _gfid(given, ("flux2", "sd", "flux1")),
        f"{given.label} {named(best)} at the best of the settings that all autoencoders share; RAE at its own setting "
        f"{numbers.shown(own)}"
        if known
        else "RAE was not measured at its own setting"
        if len(best) == 3
        else lacking(given, best),
        overall(verdicts) if known else INCOMPLETE if given.best else MISSING,
    )


def itself_teaches_as_well(given: Evidence) -> Claim:
    """REPA towards the model itself is ahead of REPA towards an encoder, for every ae: the median over pairs.

    Within noise, neither is known to be ahead, which is not the same as that they are equal.
    """
    settings = given.where("repa")
    towards_self = settings["repa"] == SELF_REPA
    held = ["ae", *findings.PARAMETERS]
    others = settings[~towards_self & (settings["repa"] != NO_REPA)]
    pairs = (
        settings[towards_self]
        .merge(others, on=held, suffixes=("", "_other"))
        .dropna(subset=["distance", "distance_other"])
    )
    ahead = findings.relative_change(pairs["distance_other"], pairs["distance"]).groupby(pairs["ae"]).median()
    verdicts = [verdict_on(float(value), given.noise) for value in ahead]
    order = naming.in_order(ahead.index)
    changes = [f"{naming.ae_style(ae).label} {numbers.percent(turned(float(ahead[ae])))}" for ae in order]
    return Claim(
        "Learning without an outside network does as well or better: REPA towards the model itself.",
        FOLLOWED,
        UNQUOTED,
        f"{given.label} towards itself against towards the encoder: {', '.join(changes)}{so_far(given, ahead.index)}"
        if changes
        else "no REPA towards itself beside REPA towards an encoder yet",
        of_all(given, set(map(str, ahead.index)), verdicts),
    )


def _lowest(settings: pandas.DataFrame) -> dict[str, float]:
    """The lowest distance of each autoencoder."""
    lowest = settings.dropna(subset="distance").groupby("ae")["distance"].min()
    return {str(ae): float(value) for ae, value in lowest.items()}


def _best_of_pool(settings: pandas.DataFrame, aes: tuple[str, ...], repa: set[str]) -> dict[str, float]:
    """The lowest distance of each of `aes` over the settings that all autoencoders share, of these kinds of REPA."""
    shared = findings.shared_settings(settings[settings["repa"].isin(repa)], "ae")
    return _lowest(shared[shared["ae"].isin(aes)])


def _at_own_setting(settings: pandas.DataFrame) -> pandas.DataFrame:
    found = findings.at(settings, RAES_OWN)
    return found[found["repa"] == NO_REPA]


def _never_rises(chosen: tuple[float, ...]) -> bool:
    """Of pairs, one after the other: no second one is larger, and one is smaller."""
    pairs = list(zip(chosen[::2], chosen[1::2], strict=True))
    return all(after <= before for before, after in pairs) and any(after < before for before, after in pairs)


def _gfid(given: Evidence, aes: tuple[str, ...]) -> str:
    rows = given.published
    rows = rows[(rows["source"] == FOLLOWED) & (rows["quantity"] == "gfid") & rows["ae"].isin(aes)]
    return f"gFID {named(findings.by_ae(rows, 'value'), numbers.as_printed)}"
