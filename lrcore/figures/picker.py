"""Which training density and which shifts for a latent of c channels per token: an input, and a table of the evidence.

    picker(published, {study.name: study.generation})

Answers (`lrcore.figures.recommendation`) are worked out here for every c; `site/picker.js` looks them up.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import asdict

import pandas

from lrcore.figures import picker_settings
from lrcore.figures.atlas import Work
from lrcore.figures.embed import Markup, script_json, without_scripts
from lrcore.figures.recommendation import (
    Answer,
    Evidence,
    answer,
    published_evidence,
    published_rows,
    rule,
    study_evidence,
    study_rows,
)
from lrcore.figures.site_table import SiteTable
from lrcore.figures.studies import PUBLISHED
from lrcore.records import schema
from lrcore.results import naming, numbers

MOST_CHANNELS = 4096
START = 64
"""Channels per token that the picker is asked for first."""


def picker(
    published: pandas.DataFrame,
    generation: Mapping[str, pandas.DataFrame],
    atlas: pandas.DataFrame | None = None,
    works: Mapping[str, Work] | None = None,
    noise: Mapping[str, float] | None = None,
) -> Markup:
    """The picker over the published study and studies of ours, above a table of the latents that were measured.

    `published`: rows of `reading.read_published`; `generation`: for each study its generation rows in one feature
    network; `atlas` and `works`, where given: rows of `reading.read_atlas` and `figures.atlas.read_works`, whose shifts
    and guidance scales stand beside the answer; `noise`: for each study that of a difference of two settings, relative
    (`StudyRows.noise`). Without scripts only the table is shown.

    Raises:
        LrcoreError: as `published_rows` and `study_rows`.
    """
    studies = {name: study_rows(name, rows) for name, rows in generation.items()}
    found = {PUBLISHED: published_evidence(published)}
    rows = pandas.concat([published_rows(published), *studies.values()], ignore_index=True)
    table = _table(rows, " or ".join(found[PUBLISHED].densities))
    found |= {name: study_evidence(name, rows, (noise or {}).get(name, math.nan)) for name, rows in generation.items()}
    beside = picker_settings.markup(atlas, works or {}, START, MOST_CHANNELS) if atlas is not None else ""
    without = without_scripts(
        "With scripts, this is where you enter the channels of a token and read which timesteps to try; the table has "
        "what such answers rest on."
    )
    return Markup(_markup(found, beside) + without + table.markup)


def steps(evidence: Evidence) -> list[tuple[int, Answer]]:
    """The answers for 1 to `MOST_CHANNELS` channels, each with the first number of channels that it holds for."""
    found: list[tuple[int, Answer]] = []
    for channels in range(1, MOST_CHANNELS + 1):
        given = answer(evidence, channels)
        if not found or found[-1][1] != given:
            found.append((channels, given))
    return found


_FIELDS = {
    "trainp": "Why this density",
    "trainshift": "Why this train shift",
    "sampleshift": "Why this sample shift",
    "rule": "Rule",
    "below": "Measured, as wide or next narrower",
    "above": "Measured, next wider",
}


def _markup(evidence: Mapping[str, Evidence], beside: str) -> str:
    found = {name: steps(one) for name, one in evidence.items()}
    spec = {
        name: {"least": evidence[name].least, "steps": [{"from": c, **asdict(given)} for c, given in answers]}
        for name, answers in found.items()
    }
    first = next(iter(evidence.values()))
    options = "".join(f"<option>{html.escape(name)}</option>" for name in evidence)
    return (
        '<div class="lrcore-picker" role="group" aria-label="Timesteps for a latent"><p class="lrcore-choices">'
        f'<label>Channels per token <input type="number" min="1" max="{MOST_CHANNELS}" step="1" value="{START}" '
        'required></label><input type="range" min="0" step="any" aria-label="Channels per token, by doublings" '
        f'max="{math.log2(MOST_CHANNELS):g}" value="{math.log2(START):g}">'
        f"<label>Evidence <select>{options}</select></label></p>"
        f'<p class="lrcore-problem" role="alert" hidden>A whole number from 1 to {MOST_CHANNELS}, please.</p>'
        f'<p class="lrcore-answer" aria-live="polite"><strong data-said="short">{_short(first, START)}</strong></p>'
        f"<dl>{_answered(first, START)}</dl>"
        f'<script type="application/json" class="lrcore-spec">{script_json(spec)}</script>{beside}</div>'
    )


def _short(evidence: Evidence, channels: int) -> str:
    return html.escape(answer(evidence, channels).short)


def _answered(evidence: Evidence, channels: int) -> str:
    said = {field: html.escape(text) for field, text in asdict(answer(evidence, channels)).items()}
    shown = {field: f'<span data-said="{field}">{text}</span>' for field, text in said.items()}
    shown["rule"] = (
        f'√(<span data-said="channels">{channels}</span> / <span data-said="least">{evidence.least}</span>) = '
        f'<strong data-said="shift">{rule(channels, evidence.least):.2f}</strong>; {shown["rule"]}. This assumes that '
        "the channels of a token repeat one another, and that the study's latent of fewest channels needs no shift."
    )
    return "".join(f"<div><dt>{title}</dt><dd>{shown[field]}</dd></div>" for field, title in _FIELDS.items())


def _table(rows: pandas.DataFrame, reported: str) -> SiteTable:
    """The measured latents; `reported` is the density that the published study gives of all of them, "" for none."""
    table = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(ae).label for ae in rows["ae"]],
            "distance": rows["distance"].astype(float),
            "kind": [
                schema.distance_label(name, score) if isinstance(name, str) else "–"
                for name, score in zip(rows["feature_network"], rows["score"], strict=True)
            ],
            "evidence": rows["study"],
            "channels": rows["channels_per_token"],
            "measured": rows["condition"],
            "density": [
                name if isinstance(name, str) else (reported if study == PUBLISHED else "") or "not known"
                for name, study in zip(rows["trainp"], rows["study"], strict=True)
            ],
            "runner-up": [
                f"{name}, {numbers.percent(margin)}" if isinstance(name, str) and name else "–"
                for name, margin in zip(rows["runner_up"], rows["margin"], strict=True)
            ],
            "train shift": _shifts(rows, "trainshift"),
            "sample shift": _shifts(rows, "sampleshift"),
        }
    )
    caption = "Best timestep settings of the latents that were measured, by channels per token"
    return SiteTable(table, "timestep-evidence", caption, rows, _OF_WHAT if rows["distance"].notna().any() else "")


_OF_WHAT = (
    "For each autoencoder of our studies: the best of all its own settings, since advice on one latent compares it "
    "with no other. Where autoencoders are compared, it is the best of the settings that all share."
)


def _shifts(rows: pandas.DataFrame, parameter: str) -> list[str]:
    """The best shift, or that of too few values with their number: '1.78', '1.00, of 2 tried', '–'."""
    partly = rows.get(f"{parameter}_partly", pandas.Series("", index=rows.index))
    return [
        numbers.value_text(float(value)) if value == value else text if isinstance(text, str) and text else "–"
        for value, text in zip(rows[parameter], partly, strict=True)
    ]
