"""Sentences on whether studies agree, computed from the rows: Markdown text, as in `lrcore.figures.prose`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import words
from lrcore.figures.literature import QUANTITIES, STUDIES
from lrcore.figures.markdown import ae_name, code, escaped
from lrcore.figures.predictors import bare_name
from lrcore.figures.style import FEW
from lrcore.records import schema
from lrcore.results import agreement, findings, numbers, seed_noise, verdicts
from lrcore.results.claim_parts import Claim
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at, narrow_note, tau_text


def verdicts_in_words(
    found: Mapping[str, Sequence[Claim]], studies: Mapping[str, StudyRows], with_noise: bool = True
) -> str:
    """A bullet a study, with bullets of its own: which findings hold, which do not, and `with_noise` how it compares.

    Hypotheses, which their own source did not bear out, are left out.
    """
    bullets = []
    for name, claims in found.items():
        of_study = [claim for claim in claims if not claim.hypothesis]
        count = {verdict: sum(claim.verdict == verdict for claim in of_study) for verdict in verdicts.VERDICTS}
        counts = words.joined([f"{number} {_verb(verdict, number)}" for verdict, number in count.items() if number])
        study, guesses = studies[name], len(claims) - len(of_study)
        apart = f" ({guesses} {'hypothesis' if guesses == 1 else 'hypotheses'} not counted)" if guesses else ""
        done = f" (partial: {study.partial})" if study.partial else ""
        how = [f"{_compared(study)} {noise_in_words(study)} {escaped(narrow_note(study.generation))}".rstrip()]
        bullets.append(f"- Study {code(name)}{done}: of {len(of_study)} findings{apart}, {counts}.")
        bullets += [f"    - {said}" for said in (*_decided(of_study), *how[: int(with_noise)])]
    return "\n".join(bullets)


def _decided(found: Sequence[Claim]) -> Iterable[str]:
    """The findings that hold and those that do not, as far as any is decided."""
    for verdict, verb in ((verdicts.HOLDS, "Holds"), (verdicts.FAILS, "Does not hold")):
        if own := [_quoted(claim) for claim in found if claim.verdict == verdict]:
            yield f"**{verb}:** {'; '.join(own)}."


def _quoted(claim: Claim) -> str:
    """A finding as a quotation, with what speaks against its verdict."""
    but = f" (but {escaped(claim.but)})" if claim.but else ""
    return f"“{escaped(claim.claim.rstrip('.'))}”{but}"


def noise_in_words(study: StudyRows) -> str:
    """How far another training seed moves a distance of this study, and from what size a difference counts."""
    noise = seed_noise.noise_of_seeds(study.repeated)
    if noise.empty:
        return (
            "No setting was trained with two seeds, so the noise is not known: differences only point one way or the "
            "other."
        )
    few = noise if len(noise) <= FEW else noise.sort_values("deviation").iloc[[0, -1]]
    each = (", " if len(few) == len(noise) else " to ").join(
        f"{numbers.small_percent(deviation)} for {ae_name(ae)}"
        for ae, deviation in zip(few["ae"], few["deviation"], strict=True)
    )
    said = f"Another seed moves a distance by {each} (relative standard deviation)"
    limit, of_best = study.noise, study.noise_of_best
    if math.isinf(limit):
        freedom = int(noise["freedom"].sum())
        degrees = "one degree" if freedom == 1 else f"{freedom} degrees"
        return (
            f"{said}, but this rests on {degrees} of freedom alone. No difference counts before there are "
            f"{seed_noise.LEAST_FREEDOM}."
        )
    trainings = int(study.best()["seeds"].min())
    samples = [shown(float(rows["n_samples"].min())) for rows in (study.generation, study.compared)]
    of = [f" ({count} samples)" if samples[0] != samples[1] else "" for count in samples]
    means = (
        f", and one between autoencoders, which are means of {trainings} trainings{of[1]}, from "
        f"{numbers.small_percent(of_best)}"
        if trainings > 1
        else ""
    )
    counts = f"a difference between two trainings{of[0]} counts from {numbers.small_percent(limit)}{means}"
    return f"{said}. By all of them together, {counts}."


def band_in_words(studies: Iterable[StudyRows]) -> str:
    """Which studies the figure of differences draws a band for, and what lies in it, or that there is none."""
    known = [code(study.name) for study in studies if 0 < study.noise < math.inf]
    if not known:
        return "No study here has trained a setting with two seeds yet, so nothing shows which differences are noise."
    where = f"study {known[0]}" if len(known) == 1 else f"the studies {words.joined(known)}"
    return (
        f"Another seed could reverse the differences in shifts and REPA that lie in the grey band, drawn for {where}. "
        "Those between autoencoders are means over several trainings, and count sooner."
    )


def disagreements(name: str, found: Sequence[Claim]) -> str:
    """The findings that the study `name` speaks against, with the numbers of both; else that there are none."""
    found = [claim for claim in found if not claim.hypothesis]
    against = [claim for claim in found if claim.verdict in (verdicts.FAILS, verdicts.OTHER_WAY)]
    lacking = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in _OPEN}
    said = [f"{count} {_verb(verdict, count)}" for verdict, count in lacking.items() if count]
    waiting = f" (of {len(found)} findings, {words.joined(said)})" if said else ""
    if not against:
        return f"Study {code(name)} contradicts no published finding{waiting}."
    bullets = [
        f"- **{escaped(claim.claim)}** Published [@{claim.source}]: {escaped(claim.published)}. "
        f"Here: {escaped(claim.here)}."
        for claim in against
    ]
    parts = []
    for verdict, what in (
        (verdicts.FAILS, "do not hold"),
        (verdicts.OTHER_WAY, "point the other way; no setting has two seeds, so only the sign is known"),
    ):
        own = [bullet for claim, bullet in zip(against, bullets, strict=True) if claim.verdict == verdict]
        if own:
            parts.append("\n".join([f"In study {code(name)}, these published findings {what}{waiting}:\n", *own]))
            waiting = ""
    return "\n\n".join(parts)


def published_agreement(published: pandas.DataFrame) -> str:
    """How far the published orders agree among themselves.

    Raises:
        LrcoreError: fewer than two published settings that can be compared.
    """
    pairs = agreement.among_published(published)
    if pairs.empty:
        raise LrcoreError("no rows: no two published settings share enough autoencoders")
    same = int((pairs["tau"] > 1 - 1e-9).sum())
    settings = len(agreement.by_setting(published))
    text = (
        f"The {settings} published settings rank the autoencoders that they share in the same order in "
        f"{numbers.part(same, len(pairs), 'pair')} of settings."
    )
    others = pairs[pairs["tau"] <= 1 - 1e-9]
    if len(others):
        low = others.sort_values("tau").iloc[0]
        between = f"{_named(low['first'])} against {_named(low['second'])}"
        text += f" The lowest rank correlation between two settings is {tau_text(low['tau'])}: {between}."
    return text


def order_in_words(study: StudyRows, published: pandas.DataFrame) -> str:
    """The study's order of autoencoders, with how many published orders it shares, and what the noise leaves of it."""
    best = study.best().sort_values("distance")
    if len(best) < agreement.FEWEST:
        return f"Of study {code(study.name)} only {len(best)} autoencoders are measured so far: too few for an order."
    order = ", ".join(ae_name(ae) for ae in best["ae"])
    text = f"Study {code(study.name)} puts the autoencoders in the order {order}, from the most to the least learnable."
    found = agreement.with_published(best, published).dropna(subset="tau")
    if found.empty:
        return f"{text} No published setting has enough of these autoencoders to compare."
    same = int((found["tau"] > 1 - 1e-9).sum())
    taus = " to ".join(dict.fromkeys(tau_text(tau) for tau in (found["tau"].min(), found["tau"].max())))
    shared = words.capital(numbers.part(same, len(found), "published setting"))
    have = "has" if same < 2 or len(found) == 1 else "have"
    text += f" {shared} {have} the shared autoencoders in this order; rank correlations (Kendall's τ) are {taus}."
    noise = study.noise_of_best
    if not math.isfinite(noise):
        return text
    gaps = best["distance"].pct_change().iloc[1:]
    clear = int((gaps > noise).sum())
    exceed = "exceeds" if clear == 1 or len(gaps) == 1 else "exceed"
    return (
        f"{text} {words.capital(numbers.part(clear, len(gaps), 'step'))} from one autoencoder to the next {exceed} the "
        "noise of the seed."
    )


def predictors_in_words(study: StudyRows) -> str:
    """Which properties of the latent have the order of the study's distances, and how surprising that is."""
    found = agreement.of_predictors(study.best(), study.latents)
    if found.empty:
        return f"Of study {code(study.name)} too few autoencoders are measured so far to compare orders."
    count = int(found["autoencoders"].max())
    perfect, reverse = (
        [bare_name(metric) for metric in found.loc[sign * found["tau"] > 1 - 1e-9, "predictor"]] for sign in (1, -1)
    )
    properties = numbers.part(len(perfect), len(found), "property", "properties")
    have = "has" if len(perfect) == 1 or len(found) == 1 else "have"
    named = f": {words.joined(perfect)}" if perfect else ""
    other = f"; {words.joined(reverse)} {'has' if len(reverse) == 1 else 'have'} exactly the reverse" if reverse else ""
    by_chance = shown(len(found) / math.factorial(count))
    tried = "one property" if len(found) == 1 else f"{len(found)} properties"
    return (
        f"In study {code(study.name)}, {properties} {have} the order of learnability{named}{other}. With {count} "
        f"autoencoders, one order in {math.factorial(count):,} agrees by chance. So of {tried}, chance alone makes "
        f"{by_chance} agree on average, and as many show the exact reverse."
    )


def samples_in_words(study: StudyRows) -> str:
    """How far the samples of the best settings are from real images, by precision and recall."""
    best = study.best()
    row, pool = study.compared.iloc[0], compared_at(findings.mean_over_seeds(study.compared))
    ends = [
        " to ".join(dict.fromkeys(numbers.small_percent(value) for value in (best[name].min(), best[name].max())))
        for name in ("sample_precision", "sample_recall")
    ]
    return (
        f"In study {code(study.name)}, after {shown(float(best['step'].max()))} steps of {escaped(row['model'])}, "
        f"{ends[0]} of the samples lie among the real images (precision), and {ends[1]} of the real images lie among "
        f"the {shown(float(row['n_samples']))} samples (recall), at {pool}.{_again_in_words(study)}"
    )


def _again_in_words(study: StudyRows) -> str:
    """The distances of the chosen settings by the most samples that they were measured with once more."""
    if not study.again:
        return ""
    rows = max(study.again, key=lambda part: part["n_samples"].iloc[0])
    best = findings.best_per_ae(findings.mean_over_seeds(rows))
    ranges = {findings.label(rows): best["distance"]}
    ranges[schema.distance_label(str(rows["feature_network"].iloc[0]))] = best["fid"]
    said = " and ".join(
        f"{escaped(name)} of {' to '.join(dict.fromkeys((shown(values.min()), shown(values.max()))))}"
        for name, values in ranges.items()
    )
    samples = shown(float(rows["n_samples"].iloc[0]))
    return f" Measured once more with {samples} samples, the best settings of the autoencoders have {said}."


def _compared(study: StudyRows) -> str:
    """Where the autoencoders of a study are compared: the step, and at which settings."""
    settings = findings.mean_over_seeds(study.compared)
    step = findings.last_common_step(settings)
    at = f"Autoencoders are compared at step {shown(float(step))}"
    if study.anew:
        samples = shown(float(settings["n_samples"].iloc[0]))
        trainings = words.trainings(settings["seeds"])
        return f"{at}, each at its best setting, by {samples} new samples of {trainings}."
    return f"{at}, by {compared_at(settings)}."


def _verb(verdict: str, number: int) -> str:
    one, several = _VERBS[verdict]
    return one if number == 1 else several


_OPEN = (verdicts.CONFOUNDED, verdicts.INCOMPLETE, verdicts.MISSING)
_VERBS = {
    verdicts.HOLDS: ("holds", "hold"),
    verdicts.SAME_WAY: ("points the same way", "point the same way"),
    verdicts.NOISE: ("is within the noise of the seed", "are within the noise of the seed"),
    verdicts.OTHER_WAY: ("points the other way", "point the other way"),
    verdicts.FAILS: ("does not hold", "do not hold"),
    verdicts.CONFOUNDED: ("is confounded", "are confounded"),
    verdicts.INCOMPLETE: ("is incomplete", "are incomplete"),
    verdicts.MISSING: ("has no rows yet", "have no rows yet"),
}


def _named(setting: tuple[str, str, str]) -> str:
    source, conditions, quantity = setting
    return f"{STUDIES[source]}, {QUANTITIES[quantity]} ({escaped(conditions)})"
