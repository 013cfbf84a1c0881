"""Timesteps for the report's latent spaces, and what the literature used for latents like them."""

from __future__ import annotations

import html
from dataclasses import asdict

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import picker_settings
from lrcore.figures.atlas import Work, address, each, linked, read_works, short_title
from lrcore.figures.recommendation import Evidence, answer, published_evidence, rule, study_evidence
from lrcore.records.reading import read_atlas, read_published
from lrcore.report_pages.blocks import Block, Fact, Facts, Folded, Html, Missing, Text
from lrcore.report_pages.card import sizes
from lrcore.report_pages.shared import ATLAS, BIBLIOGRAPHY, shared
from lrcore.report_pages.subject import Subject
from lrcore.results import above_noise, atlas_settings, naming
from lrcore.results.atlas import primary

_LABELS = {
    "short": "To try first",
    "trainp": "Why this density",
    "trainshift": "Why this train shift",
    "sampleshift": "Why this sample shift",
    "rule": "Rule",
}


def timesteps(subject: Subject) -> tuple[Block, ...]:
    """What was best for the report's own latents, or else for the measured ones nearest to them in channels."""
    own = subject.study.generation
    measured = set(own["ae"]) & set(subject.own)
    if measured:
        evidence, whose = study_evidence(subject.name, own), "this study's trainings"
    else:
        evidence, whose = published_evidence(read_published(shared(ATLAS).parent)), "the published study at full scale"
    found = sizes(subject)
    known = [ae for ae in subject.own if ae in found]
    blocks: list[Block] = [Text(f"What follows rests on {whose}.")] if known else []
    clear = set(known) - _unclear(subject)
    for ae in known:
        blocks.append(_advised(evidence, ae, found[ae].channels_per_token, len(subject.own) > 1, ae in clear))
    if not measured:
        blocks.append(
            Missing(
                f"No transformer was trained in the latent space of {subject.label} yet; its own trainings say more.",
                subject.command("generation"),
            )
        )
    return tuple(blocks)


def _unclear(subject: Subject) -> set[str]:
    """The autoencoders whose best is not clearly better than noise: their trainings advise nothing."""
    if subject.study.generation.empty:
        return set()
    found = above_noise.above_noise(subject.study)
    return {str(ae) for ae in found.loc[~above_noise.is_clear(found), "ae"]}


_NOTHING = "Nothing yet: its best is not clearly better than noise or a Gaussian, so that these trainings cannot tell."


def _advised(evidence: Evidence, ae: str, channels: int, named: bool, clear: bool) -> Facts:
    given = asdict(answer(evidence, channels))
    if not clear:
        given = {"short": _NOTHING, "rule": "the only advice there is"}
    given["rule"] = f"√({channels} / {evidence.least}) = {rule(channels, evidence.least):.2f}; {given['rule']}"
    prefix, label = (f"{ae}_", f"{naming.ae_style(ae).label}: ") if named else ("", "")
    # of several, the answer alone
    keys = ["short"] if named else [key for key in _LABELS if key in given]
    title = f"{label}{channels} channels" if named else ""
    return Facts(tuple(Fact(f"{prefix}{key}", title or _LABELS[key], given[key], given[key]) for key in keys))


def literature(subject: Subject) -> tuple[Block, ...]:
    """Shifts and guidance scales that sources give for latents as wide, and which autoencoders have such latents."""
    data = subject.data if (subject.data / "atlas").is_dir() else shared(ATLAS).parent
    try:
        atlas, works = read_atlas(data), read_works(shared(BIBLIOGRAPHY))
    except LrcoreError as error:
        return (Missing(f"The atlas cannot be read: {error}"),)
    found = sizes(subject)
    widths = sorted({found[ae].channels_per_token for ae in subject.own if ae in found})
    if not widths:
        return (Missing("How wide its tokens are is not known yet.", subject.command("reconstruction")),)
    settings = atlas_settings.settings(atlas)
    blocks: list[Block] = []
    for channels in widths:
        alike = atlas_settings.alike(settings, channels)
        blocks.append(Text(f"Of {channels} channels per token, give or take {_WITHIN}: {picker_settings.said(alike)}"))
        if len(alike):
            table = Html(_table(alike, works, channels), f"settings-{channels}", alike)
            blocks.append(Folded("Each setting with its source", table, on_paper=False) if len(widths) > 1 else table)
        if named := _named(atlas, works, channels):
            blocks.append(named)
    return tuple(blocks)


_WITHIN = f"a factor of {atlas_settings.WITHIN:g}"


def _table(alike: pandas.DataFrame, works: dict[str, Work], channels: int) -> str:
    lines = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in picker_settings.cells(row, works))}</tr>" for row in each(alike)
    )
    heads = "".join(f"<th>{head}</th>" for head in ("setting", "value", "how", "autoencoders", "source"))
    label = f"Settings in the literature for latents of about {channels} channels per token"
    table = f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody>"
    return (
        '<div class="lrcore-literature lrcore-table"><div class="lrcore-table-scroll" tabindex="0" role="group" '
        f'aria-label="{label}"><table class="dataframe" aria-label="{label}">{table}</table></div></div>'
    )


def _count(autoencoders: int) -> str:
    one = autoencoders == 1
    return f"{autoencoders} {'autoencoder' if one else 'autoencoders'} of the atlas {'has' if one else 'have'}"


def _named(atlas: pandas.DataFrame, works: dict[str, Work], channels: int) -> Folded | None:
    """The autoencoders with latents as wide, each with where its figures are from."""
    rows = atlas_settings.with_sizes(primary(atlas))
    ratio = rows["channels_per_token"] / channels
    rows = rows[(ratio <= atlas_settings.WITHIN) & (ratio >= 1 / atlas_settings.WITHIN) & (rows["canonical"] != "")]
    rows = rows.drop_duplicates(["canonical", "source"])
    if rows.empty:
        return None
    parts = []
    for name, own in rows.groupby("canonical", sort=True):
        sources = ", ".join(
            linked(short_title(row.source, works), address(row.source, row.repository, works)) for row in each(own)
        )
        size = f"{own['tokens'].iloc[0]} × {own['channels_per_token'].iloc[0]}" if own["tokens"].iloc[0] else ""
        parts.append(f"<li>{html.escape(str(name))}{f' ({size})' if size else ''}: {sources}</li>")
    columns = ["canonical", "family", "tokens", "channels_per_token", "source", "repository"]
    summary = f"{_count(len(parts))} such latents (tokens × channels), and where their figures are from"
    listed = Html(f"<ul>{''.join(parts)}</ul>", f"autoencoders-{channels}", rows[columns])
    return Folded(summary, listed, on_paper=False)
