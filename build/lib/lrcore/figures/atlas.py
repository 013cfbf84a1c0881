"""What figures of the atlas share: names and colours of what it holds, and where its sources are."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from lrcore.errors import LrcoreError
from lrcore.records.atlas_vocabulary import QUANTITIES
from lrcore.results.naming import METRICS

BIBLIOGRAPHY = Path("posts/references.bib")
PAGE = "atlas.html"
"""The page that shows a group, an autoencoder or the whole table; the other pages of the atlas lie beside it."""


@dataclass(frozen=True)
class Look:
    """How autoencoders of a family are named and drawn."""

    label: str
    colour: str
    symbol: str


FAMILY_LOOKS = {
    "kl": Look("KL", "#0072B2", "circle"),
    "aligned-kl": Look("aligned KL", "#009E73", "diamond"),
    "frozen-encoder": Look("frozen encoder", "#CC79A7", "triangle-up"),
    "vq": Look("quantised", "#E69F00", "square"),
    "video": Look("video", "#56B4E9", "pentagon"),
    "pixels": Look("pixels", "#6B7681", "x"),
    "other": Look("other", "#D55E00", "star"),
}
"""By the names of `records.atlas_vocabulary.FAMILIES`."""

SOURCE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#6B7681")

_LABELS = {
    "gfid": "gFID",
    "is": "Inception score",
    "rfid": "rFID",
    "ris": "Inception score of reconstructions",
    "mse": "MSE",
    "ifid": "iFID",
    "linear_probe": "linear probe (%)",
    "linear_probe_top5": "linear probe, top 5 (%)",
    "cds": "CDS",
    "viv": "VIV",
    "lds_a": "LDS, first column",
    "lds_b": "LDS, second column",
    "sec_at_0.5": "SEC@0.5",
    "eq_loss": "EQ loss",
    "se_loss": "SE loss",
    "vf_loss": "VF loss",
    "gmm_loss": "GMM loss",
    "cknna": "CKNNA",
    "se_cknna": "SE-CKNNA",
    "kl": "KL",
    "geneval": "GenEval",
    "dpgbench": "DPG-Bench",
    "genaibench": "GenAI-Bench",
    "channels_per_token": "channels per token",
    "tokens": "tokens",
    "fdr6": "FDr6",
}


@dataclass(frozen=True)
class Work:
    """A work of the bibliography: its title as plain text, and its address ("" where it has none)."""

    title: str
    url: str


def quantity_label(quantity: str) -> str:
    """A quantity as an axis has it: 'gFID', 'PSNR (dB)'."""
    if quantity in _LABELS:
        return _LABELS[quantity]
    if quantity in METRICS:
        return METRICS[quantity].label
    label = quantity.replace("fdr_", "FDr ").replace("_", " ")
    unit = next(iter(QUANTITIES[quantity].units)) if quantity in QUANTITIES else ""
    return f"{label} ({unit})" if unit and unit not in label else label


def look(family: str) -> Look:
    """How a family is drawn; '' and one that is not known as `other`."""
    return FAMILY_LOOKS.get(family, FAMILY_LOOKS["other"])


def read_works(path: Path = BIBLIOGRAPHY) -> dict[str, Work]:
    """The works of the bibliography by key. The address is that on arXiv where the entry has its number.

    Raises:
        LrcoreError: the bibliography is missing.
    """
    if not path.is_file():
        raise LrcoreError(f"no bibliography '{path}'")
    works = {}
    for key, body in re.findall(r"^@\w+\{\s*([^,\s]+)\s*,(.*?)(?=^@|\Z)", path.read_text(), re.MULTILINE | re.DOTALL):
        number = _field(body, "eprint")
        url = f"https://arxiv.org/abs/{number}" if re.fullmatch(r"\d{4}\.\d{4,5}", number) else _field(body, "url")
        works[key] = Work(_plain(_field(body, "title")) or key, url if url.startswith(("https://", "http://")) else "")
    return works


def short_title(source: str, works: Mapping[str, Work]) -> str:
    """What a work is called: its title up to the colon, or its key where that is not known."""
    if source in _SHORT:
        return _SHORT[source]
    title = works[source].title if source in works else source
    first = title.split(":")[0].split(", ")[0]
    return first if len(first) <= _LONGEST else _author(source)


_LONGEST = 24
_SHORT = {
    "zheng2025rae": "RAE",
    "yao2025vavae": "VA-VAE",
    "chen2025dcae": "DC-AE",
    "bfl2025representation": "FLUX.2 comparison",
    "li2025jit": "JiT",
    "page2026sendvae": "Send-VAE",
    "xu2026ifid": "iFID repository",
    "xu2026ifid_board": "iFID board",
    "shi2025svg": "SVG",
    "fan2025uae": "UAE",
    "gao2025fae": "FAE",
    "singh2026raev2": "RAEv2",
    "yang2025ldetok": "l-DeTok",
    "yao2025vtp": "VTP",
    "chen2025maetok": "MAETok",
    "ye2025dmvae": "DMVAE",
    "kouzelis2025redi": "ReDi",
    "hansenestruch2025vitok": "ViTok",
    "chang2026hae": "HAE",
    "li2024mar": "MAR",
    "yu2024titok": "TiTok",
    "sun2024llamagen": "LlamaGen",
    "tong2026scalerae": "Scale-RAE",
    "skorokhodov2025diffusability": "Diffusability",
    "li2026veloss": "VE loss",
    "yue2026pae": "PAE",
    "zhong2026diffusing": "Latent diffusability",
}
"""Names of works that their titles do not begin with."""


def _author(source: str) -> str:
    """'madebyollin 2025' of the key 'madebyollin2025taesd'."""
    found = re.match(r"([a-z]+)(\d{4})", source)
    return f"{found[1].capitalize()} {found[2]}" if found else source


def address(source: str, repository: str, works: Mapping[str, Work]) -> str:
    """Where a row can be checked: its repository at the commit that was read, else its source; '' where neither is."""
    if found := re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})", repository):
        return f"https://github.com/{found[1]}/tree/{found[2]}"
    return works[source].url if source in works else ""


def linked(text: str, url: str) -> str:
    """HTML of a text that leads to `url`, where there is one."""
    text = html.escape(text)
    return f'<a href="{html.escape(url)}">{text}</a>' if url else text


def each(rows: pandas.DataFrame) -> Iterator[Any]:
    """The rows one by one, each with its columns as attributes."""
    return iter(rows.itertuples(index=False))


def numbers_of(rows: pandas.DataFrame) -> pandas.Series:
    """How many numbers a latent of each row holds; 0 where its tokens or channels are not stated."""
    return rows["tokens"] * rows["channels_per_token"]


def _field(body: str, name: str) -> str:
    found = re.search(rf"^\s*{name}\s*=\s*[{{\"](.*)[}}\"]\s*,?\s*$", body, re.MULTILINE)
    return found[1].strip() if found else ""


def _plain(text: str) -> str:
    return re.sub(r"[{}\\]", "", text).replace("---", "–").replace("--", "–")
