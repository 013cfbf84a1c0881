"""The published study's table of best settings, what it shows, and what our studies find of the same."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import pandas

from lrcore.figures import words
from lrcore.figures.markdown import code
from lrcore.figures.site_table import SiteTable
from lrcore.results import claims, findings, naming, numbers, tuning_claims
from lrcore.results.claim_parts import Claim
from lrcore.results.evidence import best_values
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED, best_choices, best_settings
from lrcore.results.study_rows import StudyRows
from lrcore.spec.study import NO_REPA

VERDICTS = "agreement.qmd#sec-findings"
"""Where each verdict stands with its numbers."""


def best_table(atlas: pandas.DataFrame) -> SiteTable:
    """A row for each autoencoder, without REPA and with it: the density and the shifts of its lowest gFID.

    `atlas`: rows of `reading.read_atlas`.

    Raises:
        LrcoreError: no rows of it.
    """
    found = best_settings(atlas)
    table = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(ae).label for ae in found["ae"]],
            "REPA": ["no" if repa == NO_REPA else "yes" for repa in found["repa"]],
            "gFID": [as_printed(value) for value in found["gfid"]],
            "density": found["trainp"].replace("", "–"),
            "train shift": [_shift(value) for value in found["trainshift"]],
            "sample shift": [_shift(value) for value in found["sampleshift"]],
            "step": [f"{step:,}" for step in found["step"]],
        }
    )
    caption = "Published best settings of each autoencoder, without REPA and with it"
    return SiteTable(table, "published-best", caption, found, _read(found))


def _read(found: pandas.DataFrame) -> str:
    """Which rows were not read in the source itself; "" where all were."""
    second = found[found["secondary"]]
    if second.empty:
        return ""
    kinds = sorted({"without REPA" if repa == NO_REPA else "with REPA" for repa in second["repa"]})
    whole = len(second) == found["repa"].isin(second["repa"]).sum()
    which = f"Those {words.joined(kinds)}" if whole else f"{len(second)} of {len(found)} rows"
    return f"{which} come from a third party's transcription of the table, which the page loads separately."


def repa_in_words(atlas: pandas.DataFrame) -> str:
    """By how much the published lowest gFID falls with REPA, the most first: a sentence; "" without both."""
    wide = best_settings(atlas).pivot_table(index="ae", columns="repa", values="gfid", aggfunc="min")
    if not {NO_REPA, "with"} <= set(wide.columns) or (wide := wide.dropna()).empty:
        return ""
    changes = findings.relative_change(wide["with"], wide[NO_REPA]).sort_values()
    each = ", ".join(f"{naming.ae_style(str(ae)).label} {numbers.percent(change)}" for ae, change in changes.items())
    return f"REPA changes the published lowest gFID: {each} (@tbl-published-best)."


def observations(
    atlas: pandas.DataFrame,
    published: pandas.DataFrame,
    studies: Mapping[str, StudyRows],
    judged: Mapping[str, Sequence[Claim]],
) -> str:
    """What the published table shows, a bullet each, with the verdict of each study of ours: Markdown.

    `judged`: of `figures.agreement.judged`, the claims of each study in the order of `claims.CLAIMS`.
    """
    table = best_settings(atlas)
    seen = (
        (claims.best_density, "Training density.", _densities(table)),
        (claims.train_shift_grows, "Train shift by channels.", _growing(table, published)),
        (
            tuning_claims.sample_shift_is_larger,
            "Sample shift against train shift.",
            _larger(table),
        ),
        (tuning_claims.repa_lowers_the_train_shift, "Train shift with REPA.", _lowered(table)),
    )
    by_claim = {
        name: dict(zip((judge.claim for judge in claims.CLAIMS), found, strict=True)) for name, found in judged.items()
    }
    lines = [
        f"- **{title}** {told} {_ours({name: found[claim] for name, found in by_claim.items()})}".rstrip()
        for claim, title, told in seen
    ]
    if early := _early(published):
        lines.append(f"- **Early in training.** {early} {_own_early(studies)}".rstrip())
    return "\n".join(lines)


def _ours(found: Mapping[str, Claim]) -> str:
    """'Ours: holds in study `a`; incomplete in study `b`', each a link to the verdict."""
    if not found:
        return ""
    said = "; ".join(f"[{claim.verdict}]({VERDICTS}) in study {code(name)}" for name, claim in found.items())
    return f"Ours: {said}."


def _densities(table: pandas.DataFrame) -> str:
    counts = table["trainp"].value_counts()
    said = [f"{code(name)} in {count}" for name, count in counts.items()]
    said[0] += f" of {len(table)} rows"
    never = [] if "ts" in counts else [f"{code('ts')} in none"]
    return f"Published: {', '.join([*said, *never])}."


def _growing(table: pandas.DataFrame, published: pandas.DataFrame) -> str:
    """By rising channels, the train shifts without and with REPA."""
    rows = published[published["quantity"] == "channels_per_token"]
    channels = findings.by_ae(rows, "value")
    parts = []
    for ae in sorted(naming.in_order(table["ae"]), key=lambda ae: channels.get(ae, 0)):
        values = dict.fromkeys(_shift(value) for value in table.loc[table["ae"] == ae, "trainshift"])
        wide = f" ({channels[ae]:.0f} channels)" if ae in channels else ""
        parts.append(f"{' or '.join(values)} for {naming.ae_style(ae).label}{wide}")
    return f"Published: {', '.join(parts)}."


def _larger(table: pandas.DataFrame) -> str:
    """In how many rows the sample shift is at least the train shift."""
    both = table.dropna(subset=["trainshift", "sampleshift"])
    count = int((both["sampleshift"] >= both["trainshift"]).sum())
    return f"Published: the first is at least the second in {numbers.part(count, len(both), 'row')}."


def _lowered(table: pandas.DataFrame) -> str:
    """For which autoencoders the best train shift is lower with REPA, the same, or higher."""
    last = table[table["step"] == table["step"].max()]
    wide = last.pivot(index="ae", columns="repa", values="trainshift").dropna()
    if not {NO_REPA, "with"} <= set(wide.columns):
        return ""
    kinds: dict[str, list[str]] = {"lower": [], "the same": [], "higher": []}
    for ae in naming.in_order(wide.index):
        before, after = wide.loc[ae, NO_REPA], wide.loc[ae, "with"]
        kind = "the same" if before == after else "lower" if after < before else "higher"
        change = "" if before == after else f" ({_shift(before)} to {_shift(after)})"
        kinds[kind].append(f"{naming.ae_style(ae).label}{change}")
    return f"Published: {', '.join(f'{kind} for {words.joined(aes)}' for kind, aes in kinds.items() if aes)}."


_STEPS = re.compile(r"(\d+)k steps")


def _early(published: pandas.DataFrame) -> str:
    """Which best shifts the text gives for one step alone, with what is best at the others."""
    choices = best_choices(published)
    parts = []
    for _, row in choices[choices["condition"].str.fullmatch(_STEPS)].iterrows():
        same = choices[(choices["ae"] == row["ae"]) & (choices["parameter"] == row["parameter"])]
        later = same.loc[same["condition"].str.startswith("all steps but"), "value"]
        rest = f", at all other steps {numbers.value_text(later.iloc[0])}" if len(later) else ""
        parts.append(
            f"the best {naming.PARAMETER_LABELS[row['parameter']]} of {naming.ae_style(row['ae']).label} after "
            f"{row['condition']} is {numbers.value_text(row['value'])}{rest}"
        )
    return f"Published: {'; '.join(parts)}." if parts else ""


def _own_early(studies: Mapping[str, StudyRows]) -> str:
    """In how many cases of each study a best shift at an earlier step is another than at the last."""
    parts = [said for name, study in studies.items() if (said := _moved(name, study))]
    return f"Ours: {'; '.join(parts)}." if parts else ""


def _moved(name: str, study: StudyRows) -> str:
    settings = findings.mean_over_seeds(study.generation)
    if settings["step"].nunique() < 2:
        return f"study {code(name)} looks at one step"
    settings = findings.shared_settings(settings, "step")
    moved, cases = 0, 0
    for parameter in ("trainshift", "sampleshift"):
        steps = [best_values(part, parameter, study.noise) for _, part in settings.groupby("step")]
        for group in {key: None for found in steps for key in found}:
            best = [set(found[group]) for found in steps if group in found]
            if len(best) > 1:
                cases += 1
                moved += not set.intersection(*best)
    if not cases:
        return f"study {code(name)} has no best shift at two steps yet"
    beyond = "" if math.isnan(study.noise) else ", by more than the noise of the seed,"
    return f"in study {code(name)} a best shift moves between steps{beyond} in {numbers.part(moved, cases, 'case')}"


def _shift(value: float) -> str:
    return "–" if value != value else numbers.value_text(float(value))


def slips(atlas: pandas.DataFrame, published: pandas.DataFrame) -> str:
    """What in the numbers of the published page is likely a slip, or is printed otherwise here: bullets of Markdown."""
    own = published[published["source"] == FOLLOWED]
    lines = []
    noted = own[(own["quantity"] == "lpips") & (own["ae"] == "sd") & own["note"].str.contains("unweighted")]
    for _, row in noted.iterrows():
        note = str(row["note"]).replace(": SD is", ": it would be")
        lines.append(f"Its LPIPS, {as_printed(row['value'])} for SD, is {note}.")
    told = atlas[(atlas["source"] == FOLLOWED) & (atlas["quantity"] == "predicted_shift")]
    channels = findings.by_ae(own[own["quantity"] == "channels_per_token"], "value")
    named = atlas[(atlas["source"] == FOLLOWED) & (atlas["ae"] != "")]
    names = dict(zip(named["canonical"], named["ae"], strict=True))
    for _, row in told.iterrows():
        ae = names.get(row["canonical"], "")
        if ae not in channels:
            continue
        root = findings.predicted_shifts(channels, {name: int(count) for name, count in channels.items()})[ae]
        if f"{root:.2f}" != f"{row['value']:.2f}":
            lines.append(
                f"It prints the predicted shift of {naming.ae_style(ae).label} as {row['value']:.2f}; the root of "
                f"{channels[ae]:.0f} / {min(channels.values()):.0f} rounds to {root:.2f}."
            )
    return "\n".join(f"- {line}" for line in lines)
