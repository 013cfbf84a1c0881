"""What claims are made of: the claim itself, and the words and verdicts that several share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lrcore.results.evidence import Evidence
from lrcore.results.verdicts import INCOMPLETE, MISSING, overall, verdict_on_choices
from lrcore.results.wording import labels
from lrcore.spec.study import NO_REPA


@dataclass(frozen=True)
class Claim:
    """A published finding and what one study says of it.

    `claim` is a sentence, `source` a key of `posts/references.bib`; `published` and `here` give the numbers of either
    side as text, `verdict` is one of `verdicts.VERDICTS`; `caution` says what confounds it, `but` what another measure
    of the same samples or latents says against the verdict. A `hypothesis` is an expectation whose own source found
    otherwise: to contradict it is no disagreement.
    """

    claim: str
    source: str
    published: str
    here: str
    verdict: str
    caution: str = ""
    but: str = ""
    hypothesis: bool = False


def of_all(given: Evidence, measured: set[str], verdicts: Iterable[str]) -> str:
    """The verdict on a claim about every autoencoder: none before each of the study is measured."""
    if not measured:
        return MISSING
    return overall(verdicts) if set(given.aes) <= measured else INCOMPLETE


def without_repa(given: Evidence, parameter: str) -> dict[str, list[float]]:
    return {ae: values for (ae, repa), values in given.values(parameter).items() if repa == NO_REPA}


def is_value(values: list[float], wanted: float, noise: float) -> str:
    return verdict_on_choices([values], lambda chosen: chosen[0] == wanted, noise)


def turned(change: float) -> float:
    """A relative change seen from the other side: of half, twice."""
    return math.inf if change <= -1 else 1 / (1 + change) - 1


def so_far(given: Evidence, measured: Iterable[str]) -> str:
    """Of which autoencoders what was said is not known, where that keeps a verdict away."""
    known = set(measured)
    missing = [ae for ae in given.aes if ae not in known]
    return f"; not known of {', '.join(labels(missing))}" if missing else ""


def lacking(given: Evidence, measured: Iterable[str]) -> str:
    """What a claim still waits for."""
    known = set(measured)
    missing = [ae for ae in given.aes if ae not in known]
    return f"no rows yet of {', '.join(labels(missing))}" if missing else "not yet measured"
