"""Claims on which latent space is more learnable, or more faithful: orders of autoencoders, and each against SD."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pandas

from lrcore.errors import LrcoreError
from lrcore.results import agreement, findings, naming, numbers, published_wording
from lrcore.results.claim_parts import Claim, lacking, turned
from lrcore.results.evidence import Evidence
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED
from lrcore.results.verdicts import (
    INCOMPLETE,
    MISSING,
    lead,
    overall,
    verdict_on,
    verdict_on_lead,
)
from lrcore.results.wording import labels, named, tau_text

FIDELITY = "lpips_vgg"
"""The metric of fidelity that stands for the published LPIPS."""


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
    verdict = _in_order(given, ours, interpolated)
    return Claim(
        "The interpolated Fréchet distance orders autoencoders as learnability does.",
        source,
        f"rank correlation {tau_text(tau)} over {count} autoencoders: iFID {named(told, as_printed)}; "
        f"gFID {named(found, as_printed)}",
        f"{_order_text(given, ours, interpolated)}; {name} {named(interpolated)}"
        if ours
        else lacking(given, given.settings["ae"]),
        verdict,
        but=_other_lines(given, ours, each, metric, verdict),
    )


def _other_lines(
    given: Evidence, ours: Mapping[str, float], each: Mapping[str, Mapping[str, float]], metric: str, verdict: str
) -> str:
    """That interpolation along other lines gives another verdict on the same autoencoders, where it does."""
    for other, told in each.items():
        if other != metric and set(ours) <= set(told) and (found := _in_order(given, ours, told)) != verdict:
            return f"by {_INTERPOLATED[other]}: {found}"
    return ""


_INTERPOLATED = {
    "ifid_great_circle": "iFID on great circles",
    "ifd_great_circle": "iFD on great circles",
    "ifid": "iFID",
    "ifd": "iFD",
}
"""What the interpolated distances are called, those by the protocol of their authors first."""


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
        but=_against_frechet(given, ae, change),
    )


def _against_frechet(given: Evidence, ae: str, change: float) -> str:
    """That the Fréchet distance of the same samples moves the other way than `change`, where it does."""
    frechet = findings.relative_change(*(given.frechet.get(one, math.nan) for one in (ae, "sd")))
    return "the Fréchet distance goes the other way" if frechet * change < 0 else ""


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


def _published_by_ae(given: Evidence, source: str, quantity: str, table: str | None = None) -> dict[str, float]:
    rows = given.published
    rows = rows[(rows["source"] == source) & (rows["quantity"] == quantity)]
    if table is not None:
        rows = rows[rows["table"] == table]
    if rows.empty:
        raise LrcoreError(f"no rows: no published {quantity} of {source}")
    return findings.by_ae(rows, "value")


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
