"""The table of latent diagnostics: what each latent space is like before anything is trained on it."""

from __future__ import annotations

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.markdown import ae_name, code, escaped
from lrcore.figures.site_table import SiteTable
from lrcore.results import agreement, findings, naming
from lrcore.results.numbers import aligned, span, with_errors
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import tau_text

DIAGNOSTICS = {
    "effective_dimension": "effective dimension",
    "spectrum_slope": "spectral slope",
    "flip_error": "flip error ↓",
    "shift_error": "shift error ↓",
    "probe_accuracy": "probe accuracy ↑",
    "ifid": "iFID ↓",
    "ifd": "iFD ↓",
    "ifid_great_circle": "iFID on great circles ↓",
    "ifd_great_circle": "iFD on great circles ↓",
    "viv": "VIV ↓",
    "neighbour_consistency_10": "neighbours of its class ↑",
    "spectral_energy_50": "high-frequency energy ↓",
}
"""Metrics of the whole latent, with their names on the page; distances go by FID in the 2015 Inception alone."""


def latent_diagnostics(latents: pandas.DataFrame) -> SiteTable:
    """One row per autoencoder of a study, from its rows of `read_latents`.

    `channel std` is the range of the channels' standard deviations: near 1 for all where a latent is normalised channel
    by channel. Single channels and rings of the spectrum are rows of the figures that show them.

    Raises:
        LrcoreError: no rows, or those of two studies.
    """
    if latents.empty:
        raise LrcoreError("no rows: no latent space has been measured yet; run `python -m lrcore.train` first")
    studies = sorted(set(latents["study"]))
    if len(studies) > 1:
        raise LrcoreError(f"rows of the studies {', '.join(studies)}: keep those of one")
    aes = naming.in_order(latents["ae"])
    table = pandas.DataFrame({"autoencoder": [naming.ae_style(ae).label for ae in aes]})
    deviations = latents[latents["metric"] == "channel_std"].groupby("ae")["value"]
    table["channel std"] = [span(*ends) for ends in zip(deviations.min()[aes], deviations.max()[aes], strict=True)]
    whole = latents[latents["index"] < 0].set_index(["metric", "ae"])
    for metric, label in DIAGNOSTICS.items():
        if metric in whole.index:
            values = whole.loc[metric].reindex(aes)
            table[label] = with_errors(values["value"], values["standard_error"])
    caption = f"Diagnostics of the latent space of each autoencoder in the study {studies[0]}"
    return SiteTable(table, f"{studies[0]}-latent-diagnostics", caption, latents[latents["index"] < 0], _errors(whole))


def spectra_in_words(study: StudyRows) -> str:
    """How steeply the latent spectra of a study fall, and how far its encoders are from commuting with movements.

    From the steepest slope to the flattest; errors as ranges with their ends named. "" where neither was measured of
    two autoencoders. Markdown.
    """
    rows = study.latents[study.latents["index"] < 0]
    found = {name: findings.by_ae(rows[rows["metric"] == name], "value") for name in _MOVED}
    parts = []
    slopes = found["spectrum_slope"]
    if len(slopes) > 1:
        each = [f"{aligned(slopes[ae])} ({ae_name(ae)})" for ae in sorted(slopes, key=lambda ae: slopes[ae])]
        tau, _ = agreement.kendall(slopes, study.channels)
        known = f", with a rank correlation (Kendall's τ) of {tau_text(tau)} with the channels per token"
        among = known if tau == tau else ""
        slopes_ = f"is {words.joined(each)}" if len(each) <= style.FEW else f"goes from {each[0]} to {each[-1]}"
        parts.append(f"the spectral slope {slopes_}{among}")
    for name in ("flip_error", "shift_error"):
        errors = found[name]
        if len(errors) > 1:
            ends = []
            for end in (min(errors.values()), max(errors.values())):
                same = [ae for ae in errors if errors[ae] == end]
                ends.append(f"{aligned(end)} ({escaped(words.named(same, len(errors)))})")
            parts.append(f"the {_MOVED[name]} from {' to '.join(ends)}")
    return f"In study {code(study.name)} {'; '.join(parts)}." if parts else ""


_MOVED = {"spectrum_slope": "spectral slope", "flip_error": "flip error", "shift_error": "shift error"}


def _errors(whole: pandas.DataFrame) -> str:
    """Which errors the columns have, as a note: of what, and which have none; "" where none has any."""
    shown = [metric for metric in DIAGNOSTICS if metric in whole.index]
    with_error = set(whole["standard_error"].dropna().index.get_level_values("metric"))
    known = [metric for metric in shown if metric in with_error]
    if not known:
        return ""
    over = ["over images"] if set(known) - {"viv"} else []
    over += ["of VIV over classes"] if "viv" in known else []
    without = [DIAGNOSTICS[metric].rstrip(" ↓↑") for metric in shown if metric not in known]
    rest = f"; {', '.join(without)} {'has' if len(without) == 1 else 'have'} none" if without else ""
    return f"± one standard error, {', '.join(over)}{rest}."
