"""Numbers of several autoencoders in words, as claims, figures and sentences say them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import pandas

from lrcore.results import findings, naming, numbers
from lrcore.results.numbers import aligned


def tau_text(tau: float) -> str:
    """A rank correlation with two decimals: '0.67', '−1.00', '–' for NaN."""
    return "–" if math.isnan(tau) else f"{tau + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def labels(aes: Iterable[str]) -> list[str]:
    """The names of autoencoders, in the order given."""
    return [naming.ae_style(ae).label for ae in aes]


def named(values: Mapping[str, float], written: Callable[[float], str] = aligned) -> str:
    """From the lowest to the highest, each number as `written`: 'RAE 3.1, SD 7.73'."""
    return ", ".join(
        f"{naming.ae_style(ae).label} {written(values[ae])}" for ae in sorted(values, key=lambda ae: values[ae])
    )


def named_choices(values: Mapping[str, list[float]], aes: Iterable[str]) -> str:
    """The best first, after it those that noise does not tell from it: '1.00 or 2.95 for SD'."""
    return ", ".join(
        f"{' or '.join(numbers.value_text(value) for value in values[ae])} for {naming.ae_style(ae).label}"
        for ae in aes
    )


def named_spreads(wide: pandas.DataFrame) -> str:
    """The lowest and the highest relative spread of each timestep choice; a row an ae, a column a choice."""
    parts = []
    for parameter in findings.PARAMETERS:
        spread = {str(ae): float(value) for ae, value in wide[parameter].items()}
        ends = " to ".join(
            f"{numbers.percent(spread[ae], signed=False)} ({naming.ae_style(ae).label})"
            for ae in (min(spread, key=lambda ae: spread[ae]), max(spread, key=lambda ae: spread[ae]))
        )
        parts.append(f"{naming.PARAMETER_LABELS[parameter]} {ends}")
    return "; ".join(parts)


def compared_at(settings: pandas.DataFrame) -> str:
    """Where autoencoders are compared by `findings.best_per_ae` of the same settings.

    One name for it wherever they are: 'the best of the 10 settings that all autoencoders share'.
    """
    count, shared = settings["ae"].nunique(), findings.pool(settings)
    number = len(shared) // max(1, count)
    if shared.empty:
        chosen = len(settings) == count
        return "the chosen setting of each" if chosen else "the best of all its own settings, of which all share none"
    if number == 1:
        return "the one setting that was measured" if count == 1 else "the one setting that all share"
    return (
        f"the best of {number} settings"
        if count == 1
        else f"the best of the {number} settings that all autoencoders share"
    )


NETWORKS = {"inception2015": "the 2015 Inception", "efficientnet_lite0": "EfficientNet-Lite0"}
"""Feature networks as sentences have them."""


def encoder_note(rows: pandas.DataFrame) -> str:
    """A sentence that says whose features the distances of these generation rows are in, unless in the Inception's."""
    network = str(rows["feature_network"].iloc[0])
    if network == "inception2015":
        return ""
    return (
        f"Distances are in the features of {NETWORKS.get(network, network)}, an encoder: what learned from one (RAE, "
        "FLUX.2, REPA) may be near in them for that alone."
    )


def narrow_note(rows: pandas.DataFrame) -> str:
    """A sentence that marks what no transformer of these generation rows could learn in full; "" where all could."""
    found = findings.narrow(rows)
    if found.empty:
        return ""
    named = [
        f"{naming.ae_style(ae).label} (width {width:.0f}, {channels} channels)"
        for ae in naming.in_order(found["ae"])
        for width, channels in found.loc[found["ae"] == ae, ["width", "channels_per_token"]].itertuples(index=False)
    ]
    return (
        f"Narrower than a token: the transformer for {', '.join(named)}. It cannot represent the velocity, however "
        "long it trains (Zheng et al. 2025), so a large distance there says nothing of the latent space."
    )
