"""What a comparison of two sets of images found: as data, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lrcore
from lrcore.metrics.comparison import Value
from lrcore.metrics.sides import Side
from lrcore.metrics.sources import PIXEL_RULE


def report_of(name: str, values: Sequence[Value], a: Side, b: Side) -> dict[str, Any]:
    """For machines: the values, the network, the protocol, both sides, and what to beware of."""
    about = [side.statistics for side in (a, b)]
    notes = []
    if len({side.protocol for side in about if side.protocol}) > 1:
        notes.append("the protocols of A and B differ: " + "; ".join(side.protocol for side in about))
    for letter, side in zip("AB", about, strict=True):
        if side.count is not None and side.count <= side.gaussian.dim:
            notes.append(
                f"{letter} has no more images than features ({side.gaussian.dim}): the Frechet distance comes out too "
                "large"
            )
    return {
        "metrics": [{"metric": value.metric, "value": value.value, **value.about} for value in values],
        "network": name,
        "network_sha256": next((side.network_sha256 for side in about if side.network_sha256), None),
        "protocol": next((side.protocol for side in about if side.protocol), None),
        "pixels": PIXEL_RULE,
        "A": a.about(),
        "B": b.about(),
        "notes": notes,
        "lrcore_version": lrcore.__version__,
    }


def text_of(report: dict[str, Any], a: Side, b: Side) -> str:
    """For people: `report_of` as a table."""
    lines = [("metric", "value"), *(_line(row) for row in report["metrics"]), ("", "")]
    lines += [("A", str(a)), ("B", str(b))]
    lines += [("network", f"{report['network']}, sha256 {report['network_sha256'] or 'not recorded'}")]
    lines += [("protocol", report["protocol"] or "not recorded")]
    lines += [("pixels", report["pixels"])]
    lines += [("note", note) for note in report["notes"]]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {text}".rstrip() for name, text in lines)


def _line(row: dict[str, Any]) -> tuple[str, str]:
    rest = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items() if name not in ("metric", "value")]
    return row["metric"], f"{row['value']:<10.6g}" + (f"  ({', '.join(rest)})" if rest else "")
