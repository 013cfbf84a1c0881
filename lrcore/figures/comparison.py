"""Two pictures in one frame, divided by a handle: the left one shows left of it, the right one right of it.

`site/comparison.js` moves the handle and the box that is enlarged, and changes the pictures. Without scripts the
comparison is hidden, so a page must show the same pictures side by side as well.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lrcore.errors import LrcoreError
from lrcore.figures.embed import script_json, without_scripts


@dataclass(frozen=True)
class Box:
    """A square part of an image, in pixels from its top left corner."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Picture:
    """What it is, in words, and its address on the page."""

    label: str
    link: str


@dataclass(frozen=True)
class Compared:
    """One thing to choose: the picture on the left and those that it can be compared with, all of one size in pixels.

    `box`: the part that is enlarged beside the picture until the reader moves it; None for no enlarging. `caption` is
    shown below.
    """

    label: str
    width: int
    height: int
    left: Picture
    rights: tuple[Picture, ...]
    box: Box | None = None
    caption: str = ""


def comparison(things: Sequence[Compared], thing: str, right: str) -> str:
    """Markup of the comparison; `thing` and `right` name the two choices, such as "Image" and "Autoencoder".

    A choice of which there is one only is not offered.

    Raises:
        LrcoreError: nothing to compare, or things that differ in what they can be compared with.
    """
    if not things or not things[0].rights:
        raise LrcoreError("no rows: a comparison needs at least one pair of pictures")
    offered = [picture.label for picture in things[0].rights]
    for other in things:
        if [picture.label for picture in other.rights] != offered:
            raise LrcoreError(f"'{other.label}' must be comparable with the same as '{things[0].label}': {offered}")
    first = things[0]
    choices = _select("thing", thing, [one.label for one in things]) + _select("right", right, offered)
    sides = f"<span>{html.escape(first.left.label)}</span><span>{html.escape(offered[0])}</span>"
    grip = enlarged = ""
    if first.box:
        grip = '<div class="lrcore-box" tabindex="0" role="slider" aria-label="Enlarged part"></div>'
        stage = _stage(first, f"{first.box.left} {first.box.top} {first.box.side} {first.box.side}", ", enlarged")
        enlarged = f'<div><p class="lrcore-sides">What is in the red box</p>{stage}</div>'
    stage = _stage(first, f"0 0 {first.width} {first.height}", "", grip)
    return (
        '<div class="lrcore-comparison" role="group" aria-label="Comparison with a handle">'
        f'<p class="lrcore-choices">{choices}</p><div class="lrcore-views"><div>'
        f'<p class="lrcore-sides">{sides}</p>{stage}'
        '<input type="range" min="0" max="100" value="50" aria-label="Handle between the two pictures"></div>'
        f'{enlarged}</div><p class="lrcore-caption">{html.escape(first.caption)}</p>'
        f'<script type="application/json" class="lrcore-spec">{script_json([asdict(one) for one in things])}</script>'
        "</div>" + without_scripts("With scripts, a handle here wipes between the pictures that you choose.")
    )


def _select(choice: str, label: str, options: Sequence[str]) -> str:
    if len(options) < 2:
        return ""
    listed = "".join(f"<option>{html.escape(option)}</option>" for option in options)
    return f'<label>{html.escape(label)} <select data-choice="{choice}">{listed}</select></label> '


def _stage(shown: Compared, view: str, which: str, grip: str = "") -> str:
    """The part `view` of both pictures (a viewBox), on top of each other; `which` ends their description."""
    right = shown.rights[0]
    alt = f"{shown.label}: {shown.left.label} to the left of the handle, {right.label} to its right{which}"
    pictures = "".join(
        f'<svg viewBox="{view}" {attributes}><image href="{html.escape(picture.link)}" width="{shown.width}" '
        f'height="{shown.height}"/></svg>'
        for picture, attributes in (
            (right, f'role="img" aria-label="{html.escape(alt)}"'),
            (shown.left, 'aria-hidden="true"'),
        )
    )
    return f'<div class="lrcore-stage">{pictures}<div class="lrcore-divider"></div>{grip}</div>'
