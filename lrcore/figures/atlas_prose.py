"""Sentences of the atlas's pages, computed from its rows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas

from lrcore.records.atlas_sources import Group
from lrcore.results import atlas as statistics
from lrcore.results.study_rows import StudyRows, results

PREDICTORS = (
    "ifid", "linear_probe", "se_loss", "vf_loss", "viv", "eq_loss", "gmm_loss", "cds", "sec_at_0.5", "rfid", "psnr",
    "ssim", "lpips", "channels_per_token",
)  # fmt: skip
"""What is measured of a latent or its reconstructions alone, and held against generation."""


def what_there_is(atlas: pandas.DataFrame, groups: Mapping[str, Group]) -> str:
    """How much the atlas holds, and how much of it a statistic may use."""
    grouped = atlas[atlas["group"].isin(list(groups))]
    latents = grouped.groupby("group")["canonical"].nunique()
    enough = int((latents >= statistics.LEAST).sum())
    secondary = int(atlas["secondary"].sum())
    return (
        f"The atlas holds {len(atlas):,} figures of {atlas['source'].nunique()} sources. {len(grouped):,} of them stand "
        f"in {grouped['group'].nunique()} protocol groups, of which {enough} have {statistics.LEAST} latents or more, as a "
        f"correlation needs. {secondary:,} figures were not read at their source, and enter no statistic."
    )


def small_studies(studies: Mapping[str, StudyRows]) -> str:
    """What the studies of this site can add to the groups."""
    said = []
    for name, study in results(studies).items():
        count = study.generation["ae"].nunique()
        if count < statistics.LEAST:
            said.append(f"Study {name} has {count} autoencoders, too few for a correlation (at least {statistics.LEAST}).")
        else:
            said.append(f"Study {name} has {count} autoencoders, and could be a group of its own.")
    if not said:
        said.append("No study of this site has rows yet.")
    return (
        f"{' '.join(said)} Its images are small and its training short, so it stands beside the groups and not among "
        "them. [Do studies agree?](agreement.qmd) judges published findings by it, and says where it disagrees."
    )
