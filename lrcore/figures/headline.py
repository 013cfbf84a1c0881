"""What was found, first: one picture and three sentences, computed from the atlas and the published study.

The landing page shows them, and the README repeats the sentences; a test holds the two together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas

from lrcore.figures import atlas_forest, atlas_prose, atlas_scatter, atlas_swaps
from lrcore.figures.atlas import Work, each, quantity_label
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.literature import STUDIES
from lrcore.figures.site_figure import Words
from lrcore.records.atlas_sources import Group
from lrcore.results import correlations, naming, published_wording
from lrcore.results.numbers import aligned
from lrcore.results.published import FOLLOWED

NOTES = (
    "Colour shows the family of an autoencoder, size how many numbers one of its latents holds (hollow: not stated). "
    "Source: data/atlas."
)
_PAD = 0.16
"""Of an axis' span, what is free at either end: room for the names of the outermost autoencoders."""

_TITLES = {
    "worse": "Latent spaces with better reconstructions tend to have worse samples",
    "better": "Latent spaces with better reconstructions tend to have better samples, too",
    atlas_forest.UNCLEAR: "Better reconstructions show no clear link to better or worse samples",
}


def picture(
    atlas: pandas.DataFrame,
    groups: Mapping[str, Group],
    works: Mapping[str, Work],
    told: Mapping[str, pandas.DataFrame],
) -> Embedded:
    """gFID against LPIPS in the group that has most latents with both; another measure where no group has LPIPS.

    The autoencoders that the studies here have relatives of are named, others where there is room.
    `told`: of `atlas_forest.computed`. A word where no group has a measure of reconstruction beside the gFID.
    """
    measure = next((x for x in ("lpips", "psnr", "ssim", "rfid") if x in told), None)
    if measure is None:
        return Markup(f"<p>No protocol group has {correlations.LEAST} latents with both quantities yet.</p>")
    row = max(each(told[measure]), key=lambda found: found.n)
    shared = atlas[atlas["ae"] != ""].drop_duplicates("canonical")
    known = {name: naming.ae_style(ae).label for name, ae in zip(shared["canonical"], shared["ae"], strict=True)}
    points = atlas_scatter.points(atlas, groups, works, row.group)
    drawn = atlas_scatter.scatter(points, groups[row.group], measure, "gfid", known, _PAD)
    title = _TITLES[atlas_forest.outcome(row, measure, "gfid")]
    about = (
        f"gFID of samples against {quantity_label(measure)} of reconstructions: {row.n} published latent spaces, one "
        f"training each ({row.label}). Correlation {aligned(row.value)}, 95 % interval {aligned(row.low)} to "
        f"{aligned(row.high)}."
    )
    return dataclasses.replace(drawn, name="headline", alt=f"{title}. {about}", words=Words(title, about, NOTES))


def sentences(
    atlas: pandas.DataFrame, told: Mapping[str, pandas.DataFrame], published: pandas.DataFrame
) -> dict[str, str]:
    """The findings in words: Markdown of each by the page that shows it, relative to the site's root.

    Raises:
        LrcoreError: `published` lacks the relative spreads of the study that is followed.
    """
    return {
        "posts/field.qmd#sec-reconstruction": _reconstruction(told),
        "posts/field.qmd#sec-winner": _winner(atlas),
        "posts/representation-comparison.qmd#sec-sensitivity": _timesteps(published),
    }


def listed(found: Mapping[str, str]) -> str:
    """`sentences` as a Markdown list whose items lead to their pages."""
    return "\n".join(f"- {text} [Evidence]({page})" for page, text in found.items())


def _reconstruction(told: Mapping[str, pandas.DataFrame]) -> str:
    well, badly, of = atlas_prose.ways_of_reconstruction(told)
    compared = f"{of} correlation{'' if of == 1 else 's'} in {_groups(told) if of else 'published results'}"
    if badly and not well:
        return (
            f"**Better reconstructions do not foretell better samples.** Of {compared}, {_linking(badly, 'worse')}, "
            "and none to better ones."
        )
    if well and not badly:
        return (
            f"**Better reconstructions go with better samples.** Of {compared}, {_linking(well, 'better')}, and none "
            "to worse ones."
        )
    if well:
        return (
            f"**Reconstructions do not tell how good samples will be.** Of {compared}, {_linking(well, 'better')}, and "
            f"{badly} to worse ones."
        )
    return f"**Whether better reconstructions make better samples is open.** None of {compared} is clear."


def _groups(told: Mapping[str, pandas.DataFrame]) -> str:
    """'4 published groups of 8 to 22 latent spaces': those whose correlations with reconstructions count."""
    rows = atlas_forest.counted({x: told[x] for x in atlas_prose.RECONSTRUCTION if x in told})
    number, ends = rows["group"].nunique(), dict.fromkeys((int(rows["n"].min()), int(rows["n"].max())))
    many = "one published group" if number == 1 else f"{number} published groups"
    return f"{many} of {' to '.join(map(str, ends))} latent spaces"


def _linking(count: int, way: str) -> str:
    return f"{count} clearly {'links' if count == 1 else 'link'} better reconstructions to {way} samples"


def _winner(atlas: pandas.DataFrame) -> str:
    rows = atlas_swaps.swaps(atlas)
    swapped = bool((rows.loc[rows["pairs"] >= atlas_swaps.FEWEST_PAIRS, "crossing"] > 0).any())
    lead = "The ranking depends on the protocol" if swapped else "No change of protocol has changed the ranking yet"
    return f"**{lead}.** {atlas_swaps.finding_of_swaps(rows)}."


def _timesteps(published: pandas.DataFrame) -> str:
    return (
        "**Tune timesteps before you compare.** Within one latent space, the worst timestep shift in training makes "
        "the gFID (the distance between generated and real images) "
        f"{published_wording.published_spread(published, 'trainshift')} higher than the best shift does, in the "
        f"{STUDIES[FOLLOWED]}."
    )
