"""How well a latent space was learned apart from its decoder: the share G, with the interval of its trainings."""

from __future__ import annotations

import math

import pandas

from lrcore.figures.site_table import SiteTable
from lrcore.results import learnability, naming
from lrcore.results.study_rows import StudyRows


def shares(study: StudyRows) -> pandas.DataFrame:
    """The rows of `learnability.mean_of_trainings`."""
    return learnability.mean_of_trainings(learnability.learned(study))


def table(study: StudyRows, means: pandas.DataFrame) -> SiteTable:
    """A row an autoencoder of `shares`."""
    frame = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(str(ae)).label for ae in means["ae"]],
            "G (KID) ↑": [share_text(g) if told else _NOT_TOLD for g, told in means[["g_kid", "told"]].to_numpy()],
            "95 % interval": [interval_text(row) for _, row in means.iterrows()],
            "trainings": means["trainings"],
            "samples": means["n_samples"],
            "G (FID) ↑": [share_text(value) for value in means["g_fid"]],
            "setting": [_FROM[str(kind)] for kind in means["measured"]],
        }
    )
    caption = f"Share learned of each latent space in the study {study.name}, apart from the decoder"
    rows = means.drop(columns=["deviation"]).assign(deviation_of_trainings=means["deviation"])
    note = " ".join(filter(None, (_INTERVAL, learnability.not_told_in_words(means))))
    return SiteTable(frame, f"{study.name}-g", caption, rows, note)


def interval_text(row: pandas.Series) -> str:
    """'0.79 to 0.87', or that one training tells none; '–' where G itself is not told."""
    if not row["told"]:
        return "–"
    if math.isnan(row["g_low"]):
        return "one training: not known"
    return f"{share_text(row['g_low'])} to {share_text(row['g_high'])}"


def share_text(share: float) -> str:
    """A share with two decimals, as everywhere; '–' for NaN."""
    return "–" if math.isnan(share) else f"{share:.2f}".replace("-", "\N{MINUS SIGN}")


_NOT_TOLD = "cannot be told"
_FROM = {learnability.CHOICE: "chosen, measured anew", learnability.GRID: "best of the grid, which flatters a little"}
_INTERVAL = (
    "The interval is over trainings that differ in their seed (Student, 95 %); it does not hold what other samples of "
    "the same trainings would change."
)
