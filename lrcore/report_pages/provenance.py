"""How the numbers were made, from which rows and weights, and how to cite them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas

import lrcore
from lrcore.figures.site_table import SiteTable
from lrcore.records.reading import row_files
from lrcore.records.schema import TABLES
from lrcore.report_pages.blocks import Block, Command, Fact, Facts, Folded, Missing, Table, plain
from lrcore.report_pages.subject import Subject
from lrcore.results import findings, naming

_GENERATION = {
    "model": "transformer",
    "width": "width of the transformer",
    "n_samples": "samples of a distance",
    "n_reference": "reference images",
    "reference": "reference",
    "feature_network": "features",
    "feature_protocol": "features, how",
    "sampler": "sampler",
    "sampling_steps": "steps of the sampler",
    "guidance": "guidance",
    "label_rule": "classes of the samples",
    "uint8_rule": "rounding",
    "dataset": "images",
    "resolution": "resolution (px)",
    "batch_size": "images per training step",
    "precision": "number format of training",
}
_WORKS = (
    "FID: Heusel et al. 2017; KID: Bińkowski et al. 2018; precision and recall: Kynkäänniemi et al. 2019; SSIM: Wang "
    "et al. 2004; LPIPS: Zhang et al. 2018; flow matching: Lipman et al. 2023; transformer: Peebles and Xie 2023, Ma "
    "et al. 2024; interpolated FID: Xu et al. 2026; VIV, LNC, SEC: Zhong et al. 2026; EQ errors: Kouzelis et al. 2025."
)


def rows_date(subject: Subject) -> str:
    """The day on which the youngest file of the study's rows was written here; "" where there is none."""
    times = [
        path.stat().st_mtime for kind in TABLES for path in row_files(subject.data / kind / f"study={subject.name}")
    ]
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%d") if times else ""


def row_versions(subject: Subject) -> list[str]:
    """The versions of lrcore that wrote the rows of what the report is about."""
    tables = [getattr(subject.study, kind) for kind in TABLES]
    return sorted({str(one) for rows in tables for one in rows.loc[rows["ae"].isin(subject.own), "lrcore_version"]})


def protocol(subject: Subject) -> tuple[Block, ...]:
    """Each thing that moves a number, as rows have it."""
    blocks: list[Block] = []
    if len(rows := _own(subject, "generation")):
        first = findings.completed(rows).iloc[0]
        facts = [Fact(key, label, _text(first[key]), plain(first[key])) for key, label in _GENERATION.items()]
        facts.append(Fact("distance", "distance that decides", findings.label(rows), findings.label(rows)))
        seeds = sorted(int(seed) for seed in rows["train_seed"].unique())
        facts.append(Fact("train_seeds", "seeds of training", ", ".join(map(str, seeds)), seeds))
        runs = len(rows.groupby(["ae", "repa", "trainp", "trainshift", "train_seed"]))
        facts.append(Fact("trainings", "trainings, evaluations", f"{runs:,}, {len(rows):,}", runs))
        blocks.append(Facts(tuple(facts)))
    if table := _reconstruction(subject):
        blocks.append(Folded("How each metric of reconstructions and latents was taken", Table(table)))
    if table := _autoencoders(subject):
        blocks.append(Table(table, subject.label))
    if not blocks:
        blocks.append(Missing("No row says yet how anything was measured.", subject.command("all")))
    return tuple(blocks)


def cite(subject: Subject) -> tuple[Block, ...]:
    """The citation of lrcore at this version, and whose measures these are."""
    year = lrcore_year(subject)
    entry = (
        "@software{lrcore,\n  author  = {{The lrcore authors}},\n  title   = {lrcore: how learnable, how faithful and "
        f"how compact is the latent space of an image autoencoder?}},\n  version = {{{lrcore.__version__}}},\n"
        f"  year    = {{{year}}}\n}}"
    )
    facts = (
        Fact("numbers", "These numbers", numbers_citation(subject), numbers_citation(subject)),
        Fact("measures", "Measures", _WORKS, _WORKS),
    )
    return Command(entry, "bibtex"), Facts(facts)


def numbers_citation(subject: Subject) -> str:
    """One line that says where the numbers are from."""
    recipes = sorted(
        {str(one) for kind in ("reconstruction", "latents") for one in _own(subject, kind)["recipe"]}
        | {str(one) for one in _own(subject, "generation")["recipe"]}
    )
    many = f"{', '.join(recipes[:6])}{f' and {len(recipes) - 6} more' if len(recipes) > 6 else ''}"
    of = f"{subject.label}, " if subject.ae else ""
    return f"{of}study {subject.name}, lrcore {lrcore.__version__}{f', recipes {many}' if recipes else ''}"


def lrcore_year(subject: Subject) -> str:
    """The year of the rows, or of now where there are none."""
    return (rows_date(subject) or datetime.now(UTC).strftime("%Y"))[:4]


def _own(subject: Subject, kind: str) -> pandas.DataFrame:
    rows: pandas.DataFrame = getattr(subject.study, kind)
    return rows[rows["ae"].isin(subject.own)]


def _reconstruction(subject: Subject) -> SiteTable | None:
    """How each metric over images was taken."""
    tables = []
    for kind in ("reconstruction", "latents"):
        rows = _own(subject, kind)
        tables.append(rows[["metric", "n_images", "dataset", "split", "network", "protocol"]].assign(table=kind))
    rows = pandas.concat(tables).drop_duplicates(["table", "metric", "n_images", "dataset", "network"])
    if rows.empty:
        return None
    columns = {"metric": "metric", "n_images": "images", "dataset": "of", "network": "network", "protocol": "how"}
    frame = rows[list(columns)].rename(columns=columns)
    caption = "How each metric of reconstructions and latents was taken"
    return SiteTable(frame, f"{subject.study.name}-protocol", caption, rows)


def _autoencoders(subject: Subject) -> SiteTable | None:
    """Where each autoencoder is from."""
    rows = subject.study.reconstruction.drop_duplicates("ae")
    if rows.empty:
        return None
    rows = rows.set_index("ae").loc[naming.in_order(rows["ae"])].reset_index()
    frame = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(ae).label for ae in rows["ae"]],
            "name in the study": rows["ae"],
            "origin": rows["origin"],
            "weights or code": rows["weights"].where(rows["weights"] != "", "–"),
            "number format": rows["precision"],
            "recipe": rows["recipe"],
            "measured by lrcore": rows["lrcore_version"],
        }
    )
    caption = f"Where the autoencoders of the study {subject.name} are from"
    return SiteTable(frame, f"{subject.study.name}-origins", caption, rows[_ORIGIN])


_ORIGIN = ["ae", "origin", "weights", "precision", "recipe", "lrcore_version"]


def _text(raw: object) -> str:
    value = plain(raw)
    if isinstance(value, float) and value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def commands(subject: Subject) -> Sequence[str]:
    """What makes the rows, and this report."""
    return (subject.command("all"), subject.report_command)
