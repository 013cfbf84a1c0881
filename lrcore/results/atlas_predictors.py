"""Which predictors of generation the literature's own figures exclude, each protocol group by itself.

judged_in(atlas, groups, "ifid-board-sit-xl")     # a row each predictor that the group has
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas

from lrcore.records.atlas_sources import Group
from lrcore.results import correlations
from lrcore.results.atlas import can_correlate, of_group, told_by

PREDICTORS = {
    "rfid": 1, "psnr": -1, "ssim": -1, "lpips": 1, "ifid": 1, "linear_probe": -1, "se_loss": 1, "vf_loss": 1, "viv": 1,
    "eq_loss": 1, "gmm_loss": 1, "cds": -1, "sec_at_0.5": 1, "channels_per_token": 1,
}  # fmt: skip
"""What is measured of a latent or its reconstructions alone, with the sign that makes a high one stand for a high gFID:
losses, distances and sizes as they are; scores, and similarities that fall with distance, the other way round."""


def judged_in(atlas: pandas.DataFrame, groups: Mapping[str, Group], group: str, y: str = "gfid") -> pandas.DataFrame:
    """`correlations.judged` of those of `PREDICTORS` that a group has, all of them together; empty where it has none.

    Raises:
        LrcoreError: there is no such group.
    """
    rows = of_group(atlas, groups, group)
    of_y = rows[(rows["quantity"] == y) & (rows["group"] == group)].drop_duplicates("canonical").set_index("canonical")
    told = {x: sign * told_by(rows, x, y) for x, sign in PREDICTORS.items() if can_correlate(rows, group, x, y)}
    families = {str(latent): str(family) for latent, family in of_y["family"].items()}
    return correlations.judged(pandas.DataFrame(told, index=of_y.index), of_y["value"], families)
