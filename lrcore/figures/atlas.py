"""What figures of the atlas share: names and colours of what it holds, and where its sources are."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import words
from lrcore.records.atlas_sources import Group
from lrcore.records.atlas_vocabulary import QUANTITIES

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

SOURCE_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#6B7681", "#44AA99", "#AA4499",
    "#999933", "#A87B51", "#E15759", "#5C6BC0",
)  # fmt: skip
SOURCE_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")


def source_looks(sources: Iterable[str]) -> dict[str, Look]:
    """How each source is drawn, by its place in a list that all figures of a page share: no two alike of the first 84.

    Each is its own label.
    """
    colours, symbols = len(SOURCE_COLOURS), len(SOURCE_SYMBOLS)
    return {
        name: Look(name, SOURCE_COLOURS[at % colours], SOURCE_SYMBOLS[at // colours % symbols])
        for at, name in enumerate(dict.fromkeys(sources))
    }


def listed_sources(atlas: pandas.DataFrame, groups: Mapping[str, Group]) -> list[str]:
    """The sources of the atlas: those with protocol groups first, in their order, then the others by name."""
    return list(dict.fromkeys([*(group.source for group in groups.values()), *sorted(set(atlas["source"]))]))


@dataclass(frozen=True)
class Work:
    """A work of the bibliography: its title as plain text, and its address ("" where it has none)."""

    title: str
    url: str


def quantity_label(quantity: str) -> str:
    """A quantity as an axis has it, with its unit where it has one alone: 'gFID', 'PSNR (dB)'."""
    if quantity not in QUANTITIES:
        return quantity.replace("_", " ")
    known = QUANTITIES[quantity]
    unit = next(iter(known.units)) if len(known.units) == 1 else ""
    return f"{known.label} ({unit})" if unit and unit not in known.label else known.label


def predictor_label(predictor: str) -> str:
    """What a correlation is of, a quantity or a source's own words; '-psnr' has its sign turned."""
    name = predictor.removeprefix("-")
    sign = "\N{MINUS SIGN}" if name != predictor else ""
    if name in QUANTITIES:
        return sign + words.bare(quantity_label(name))
    return sign + " ".join(_OWN_WORDS.get(word, word) for word in name.replace("_", " ").split())


_OWN_WORDS = {"lds": "LDS", "lnc": "LNC", "srss": "SRSS", "t2i": "text-to-image score"}
"""What predictors are called that are no quantity of the atlas."""


def better(quantity: str) -> str:
    """Which values of a quantity are better: 'lower', 'higher', or '' where neither is, as of a size."""
    return QUANTITIES[quantity].better if quantity in QUANTITIES else ""


def axis_title(quantity: str, log: bool) -> str:
    """A quantity with its direction and its scale: 'gFID, lower is better, log scale'."""
    way = better(quantity)
    return f"{quantity_label(quantity)}{f', {way} is better' if way else ''}{', log scale' if log else ''}"


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
