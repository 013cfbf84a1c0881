"""Sentences with numbers in them, for the pages: computed from the rows, so that prose and figures cannot disagree.

Each function returns Markdown text; a page shows it with `IPython.display.Markdown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.markdown import ae_name, code, escaped
from lrcore.records import paired
from lrcore.results import agreement, findings, naming, numbers, verdicts
from lrcore.results.evidence import best_values, evidence
from lrcore.results.numbers import aligned, shown
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at, tau_text
from lrcore.spec.study import NO_REPA


def protocol(generation: pandas.DataFrame) -> str:
    """How the distances of one study were measured: samples, sampler, features, reference, and how far features in
    half precision move a distance.

    Raises:
        LrcoreError: no rows, or two protocols.
    """
    findings.require_one_protocol(generation)
    generation = findings.completed(generation)
    row = generation.iloc[0]
    runs = len(generation.groupby(["ae", "repa", "trainp", "trainshift", "train_seed"]))
    diverged = int(findings.deciding(generation).isna().sum())
    text = (
        f"The study {code(row['study'])} has {runs} training runs of {escaped(row['model'])} on "
        f"{escaped(row['dataset'])} at {row['resolution']} px and {len(generation)} evaluations, of which "
        f"{diverged or 'none'} diverged. "
        f"Each evaluation draws {shown(float(row['n_samples']))} samples (labels: {escaped(row['label_rule'])}; seed "
        f"{row['sample_seed']}) with {row['sampling_steps']} steps of the sampler {escaped(row['sampler'])} at "
        f"guidance {row['guidance']:g}, and compares them with {shown(float(row['n_reference']))} images of "
        f"{_of_images(str(row['reference']))}. The distance that decides is **{escaped(findings.label(generation))}**."
    )
    if findings.label(generation) != "FID":
        text += " It is not FID, and must not be compared with any published FID."
    return text + _half_precision(generation)


def choices_of_own(study: StudyRows) -> str:
    """Which chosen settings a study is compared by that not all of its autoencoders were tried with; "" of shared ones.

    Autoencoders are compared by their choices where these were measured anew.
    """
    if not study.anew:
        return ""
    setting = list(findings.PARAMETERS)
    shared = findings.pool(findings.mean_over_seeds(study.generation))[setting].drop_duplicates()
    chosen = study.best()[["ae", *setting]].merge(shared, on=setting, how="left", indicator="shared")
    own = chosen[chosen["shared"] == "left_only"]
    named = [f"{ae_name(str(row['ae']))}'s (train shift {row['trainshift']:.2f})" for _, row in own.iterrows()]
    only = f" {words.joined(named)} is one that not all were tried with." if len(named) == 1 else ""
    if len(named) > 1:
        only = f" {words.joined(named)} are not among those that all were tried with."
    return f"Study {code(study.name)} measured the chosen setting of each anew, and compares by these.{only}"


def _of_images(reference: str) -> str:
    """The statistics of the Fréchet distance, and the images that the other scores compare samples with."""
    statistics, _, images = reference.partition("; images ")
    return code(statistics) + (f" (kernel distance, precision and recall: {code(images)})" if images else "")


def _half_precision(generation: pandas.DataFrame) -> str:
    """What half precision costs, by the pairs of the rows; "" of rows in float32."""
    if not paired.is_half(generation).any():
        return ""
    apart = generation["apart"].dropna() if "apart" in generation else pandas.Series(dtype=float)
    text = " Features are in half precision. "
    if apart.empty:
        return text + "No evaluation has been measured in float32 beside it yet."
    differs = (
        f"differs by at most {numbers.small_percent(apart.max())}"
        if math.isfinite(apart.max())
        else "is lost in some of them"
    )
    return text + (
        f"Of {len(apart)} evaluations the same samples were measured in float32, too: the distance {differs}. Float32 "
        "decides which setting is best."
    )


def measured_again(study: StudyRows) -> str:
    """What a study measured beside its grid: at the settings that it chose, and of other widths; "" for nothing."""
    parts = []
    if len(study.confirmed):
        samples = " and ".join(shown(float(count)) for count in sorted(study.confirmed["n_samples"].unique()))
        seeds = ", ".join(str(seed) for seed in sorted(study.confirmed["sample_seed"].unique()))
        parts.append(
            f"the settings that it chose, and what else was tried there, by {samples} new samples (seed {seeds}) in "
            f"{len(study.confirmed)} evaluations"
        )
    if len(study.widths):
        widths = ", ".join(f"{width:.0f}" for width in sorted(study.widths["width"].unique()))
        parts.append(f"transformers of width {widths} in {len(study.widths)} evaluations, kept apart")
    return f"Beside these the study {code(study.name)} measured {'; and '.join(parts)}." if parts else ""


def decided_by(generation: pandas.DataFrame) -> str:
    """By which distance a study goes, of how many samples, and what that means for its size."""
    row = findings.completed(generation).iloc[0]
    label, samples = escaped(findings.label(findings.completed(generation))), shown(float(row["n_samples"]))
    text = f"Study {code(row['study'])} goes by the {label} of {samples} samples"
    return f"{text}." if row["score"] == "kid" else f"{text}: compare its distances with one another only."


def best_of_study(generation: pandas.DataFrame) -> str:
    """The autoencoders of one study from the most to the least learnable; of few, with the settings of their best.

    Raises:
        LrcoreError: no rows, two protocols, or every run diverged.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.best_per_ae(settings).sort_values("distance")
    if best.empty:
        raise LrcoreError("no rows: every run diverged")
    label = escaped(findings.label(settings))
    named = [
        f"{ae_name(row['ae'])} ({aligned(row['distance'])}{_setting(row) if len(best) <= style.FEW else ''})"
        for _, row in best.iterrows()
    ]
    study = str(generation["study"].iloc[0])
    samples = f"{shown(float(best['n_samples'].iloc[0]))} samples"
    trainings = f"{samples} of {words.trainings(best['seeds'])}" if best["seeds"].max() > 1 else samples
    return f"Study {code(study)}, {label} of {trainings}, {compared_at(settings)}, lowest first: {', '.join(named)}."


def _setting(row: pandas.Series) -> str:
    """The setting and step of a row, as the end of a bracket."""
    shifts = f"train shift {row['trainshift']:.2f}, sample shift {row['sampleshift']:.2f}"
    return f"; {escaped(row['trainp'])}, {shifts}, {naming.repa_label(row['repa'])}, step {row['step']:,}"


def redundancy(study: StudyRows) -> str:
    """What the latents say of the hypothesis that autoencoders with redundant channels want larger shifts.

    Little of a token is redundant where its effective dimension is near its channels. Of the autoencoders whose best
    train shift is known (`results.evidence.best_values`); "" of fewer than three.
    """
    rows = study.latents[(study.latents["metric"] == "effective_dimension") & (study.latents["index"] == -1)]
    filled = {ae: value / study.channels[ae] for ae, value in findings.by_ae(rows, "value").items()}
    settings = findings.mean_over_seeds(study.generation)
    settings = settings[(settings["repa"] == NO_REPA) & (settings["step"] == findings.last_common_step(settings))]
    best = {ae: values[0] for (ae, _), values in best_values(settings, "trainshift", study.noise).items()}
    aes = [ae for ae in naming.in_order(filled) if ae in best]
    if len(aes) < agreement.FEWEST:
        return ""
    tau, count = agreement.kendall({ae: best[ae] for ae in aes}, {ae: -filled[ae] for ae in aes})
    told = aes if len(aes) <= style.FEW else [min(aes, key=filled.__getitem__), max(aes, key=filled.__getitem__)]
    each = [f"{aligned(filled[ae])} for {ae_name(ae)}" for ae in told]
    values = f"is {', '.join(each)}" if told == aes else f"goes from {' to '.join(each)}"
    return (
        f"In study {code(study.name)} the effective dimension per channel {values}. The best train shift has a "
        f"rank correlation (Kendall's τ) of {tau_text(tau)} with redundancy, the inverse, over the {count} "
        "autoencoders whose best is known; the hypothesis expects 1."
    )


def repa_in_words(studies: Mapping[str, StudyRows], published: pandas.DataFrame) -> str:
    """Whether REPA towards an encoder changes the distance of each study by more than the noise of the seed.

    As in `learned_from_itself`; "" of studies without such trainings.
    """
    return " ".join(filter(None, (_towards_encoder(study, published) for study in studies.values())))


def _towards_encoder(study: StudyRows, published: pandas.DataFrame) -> str:
    given = evidence(study, published)
    effect = findings.effect_of_repa(given.where("repa"))
    if effect.empty:
        return ""
    changes = findings.by_ae(effect, "paired")
    ends = dict.fromkeys(sorted(changes, key=changes.__getitem__)[:: max(len(changes) - 1, 1)])
    said = " to ".join(f"{numbers.percent(changes[ae])} ({ae_name(ae)})" for ae in ends)
    if math.isnan(given.noise):
        judged = "the noise of the seed is not known"
    else:
        beyond = [ae for ae in changes if verdicts.verdict_on(changes[ae], given.noise) != verdicts.NOISE]
        many = numbers.part(len(beyond), len(changes), "change").replace("none of", "none of the")
        judged = f"{many} {'exceeds' if len(beyond) < 2 else 'exceed'} the noise of the seed"
    return f"In study {code(study.name)} it changes the {escaped(words.bare(study.distance))} by {said}; {judged}."


def learned_from_itself(studies: Mapping[str, StudyRows], published: pandas.DataFrame) -> str:
    """What REPA towards the model itself changes in each study, beside REPA towards an encoder: medians over pairs.

    Pairs are of trainings that differ in REPA alone, at the last common step. Of studies that have such; a sentence
    that there is none where no study has. `published`: rows of `reading.read_published`.
    """
    said = [text for study in studies.values() if (text := _from_itself(study, published))]
    return " ".join(said) or "No study here has trainings with REPA towards itself yet."


def _from_itself(study: StudyRows, published: pandas.DataFrame) -> str:
    settings = evidence(study, published).where("repa")
    parts = []
    for itself, towards in ((True, "towards itself"), (False, "towards an encoder")):
        effect = findings.effect_of_repa(settings, itself)
        if effect.empty:
            continue
        each = effect.set_index("ae")
        changes = [f"{ae_name(ae)} {numbers.percent(each['paired'][ae])}" for ae in naming.in_order(each.index)]
        parts.append(f"{towards} {', '.join(changes)}")
    if not parts or not parts[0].startswith("towards itself"):
        return ""
    return (
        f"In study {code(study.name)} REPA changes the {escaped(study.distance)}, by the median of pairs: "
        f"{'; '.join(parts)}."
    )
