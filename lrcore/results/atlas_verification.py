"""How often the atlas is wrong, by its second reading.

    rate(records, "value", RANDOM)       # of the random tenth: how many differ, of how many, with the exact interval

What could not be had, or was not read, is counted apart and never as agreeing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas

from lrcore.errors import unknown
from lrcore.records.atlas_second_reading import Record, with_identity
from lrcore.results.atlas_order import with_and_without
from lrcore.results.atlas_repeats import stated_alike

KINDS = {"value": "values", "protocol": "protocol columns"}
"""What of a row may differ: the figure, or any column that says how it was measured."""

RANDOM = ("drawn", "both")
STATED = ("stated", "both")
"""Parts of the second reading (`records.atlas_second_reading.PARTS`) that a rate may be of."""

LEVEL = 0.95
SETTINGS = ("best_cfg_scale", "best_trainshift", "best_sampleshift", "shift_used", "sampleshift_used")


@dataclass(frozen=True)
class Rate:
    """`errors` of `read` rows that were held against their source; `low` and `high` bound the rate.

    The interval is that of Clopper and Pearson (1934), exact for a binomial count: its ends leave at most 2.5 % each.
    `unreached` and `unread` rows of the same part could not be had, and were not read.
    """

    errors: int
    read: int
    low: float
    high: float
    unreached: int
    unread: int

    def __str__(self) -> str:
        """'3 of 200 (0.3 to 4.3 %)'."""
        return f"{self.errors} of {self.read} ({100 * self.low:.1f} to {100 * self.high:.1f} %)"


def rate(records: Sequence[Record], kind: str, parts: Sequence[str]) -> Rate:
    """How often `kind` (of `KINDS`) differs in records of these parts.

    Raises:
        LrcoreError: unknown kind.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    outcomes = [getattr(record, kind) for record in records if record.part in parts]
    errors, read = outcomes.count("differs"), outcomes.count("differs") + outcomes.count("agrees")
    low, high = interval(errors, read)
    return Rate(errors, read, low, high, outcomes.count("not reachable"), outcomes.count("not read"))


def interval(errors: int, read: int) -> tuple[float, float]:
    """The exact interval of a rate of `errors` in `read`: 0 to 1 where nothing was read."""
    from scipy import stats  # here, since it takes a second, which all who import results would wait for

    tail = (1 - LEVEL) / 2
    low = float(stats.beta.ppf(tail, errors, read - errors + 1)) if errors else 0.0
    high = float(stats.beta.ppf(1 - tail, errors + 1, read - errors)) if read > errors else 1.0
    return low, high


def stated(atlas: pandas.DataFrame, least: int) -> pandas.DataFrame:
    """The rows that pages state or draw by themselves, not only in a statistic; with the column `row`.

    Those are the rows compared with our studies, the ends of each line with and without guidance (of settings with
    `least` latents), those that sources state alike, and shifts and scales that were used or found best.
    """
    rows = with_identity(atlas)
    alike = set(with_identity(stated_alike(atlas))["row"])
    ends: set[str] = set()
    for source in sorted(set(atlas["source"])):
        for lines in with_and_without(rows, source, least):
            ends |= {*lines["row_unguided"], *lines["row_guided"]}
    settings = rows["quantity"].isin(SETTINGS) & ~rows["secondary"]
    return rows[(rows["table"] != "") | settings | rows["row"].isin(alike | ends)]


def sentence(records: Sequence[Record]) -> str:
    """How often the random part of the second reading found an error, by kind, with intervals and what is missing."""
    value, protocol = (rate(records, kind, RANDOM) for kind in KINDS)
    return (
        f"In a second reading of a random tenth of the rows ({value.read + value.unreached + value.unread}), the "
        f"value was wrong in {value}, and a column of the protocol in {protocol}. {value.unreached} of these rows "
        f"could not be checked because their source was out of reach, and {value.unread} were not read."
    )


def problems(records: Sequence[Record], text: str) -> list[str]:
    """One line where `text`, which states what the second reading found, does not say what follows from it."""
    if not records or " ".join(sentence(records).split()) in " ".join(text.split()):
        return []
    return [f"README.md: must say what follows from second_reading.csv: {sentence(records)}"]
