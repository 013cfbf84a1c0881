"""lrcore.figures.channels and its prose: marks, lines and words against made-up rows."""

from __future__ import annotations

import dataclasses
import math

import pytest
from figure_rows import generation_rows, study

from lrcore.errors import LrcoreError
from lrcore.figures import channels as drawn
from lrcore.figures import channels_prose
from lrcore.results import channels
from lrcore.results.channels import Measure
from tests.results.test_channels import ALIGNED, LINES, SHARES, spaces

BOTH = {**LINES, **ALIGNED}
NONE = study(generation_rows())


def finding(distances: dict[str, float], noise: float = 0.05) -> str:
    return channels_prose.finding(channels.compared(spaces(distances)), Measure("distance", noise), "FID")


def test_a_line_joins_patches_and_arrows_lead_to_alignment() -> None:
    shown = drawn.over_channels(spaces(BOTH)).choices["distance"]
    line, first, second, third = (trace for trace in shown.figure.data if "lines" in trace.mode)
    assert list(line.y) == pytest.approx(list(LINES.values()))
    assert [10**x for x in line.x] == pytest.approx([4, 8, 16, 32, 48])
    assert [list(one.y) for one in (first, second, third)] == [
        pytest.approx([ALIGNED[unaligned], ALIGNED[ae]])
        for unaligned, ae in (("flux1", "flux1-aligned"), ("flux2-plain", "flux2"), ("flux2-plain", "flux2-again"))
    ]
    assert [one.line.dash for one in (first, second, third)] == ["dot", "solid", "solid"]
    assert [one.showlegend for one in (second, third)] == [True, False]
    points = {trace.name: trace for trace in shown.figure.data if trace.mode == "markers"}
    assert len(points) == 10 and points["FLUX.2"].error_y.array[0] == pytest.approx(0.82)
    assert len({round(trace.x[0], 6) for trace in points.values()}) == 10  # none upon another
    for trace in points.values():  # nearer to their own channels than to others
        assert min((4, 8, 16, 32, 48), key=lambda count: abs(math.log10(count) - trace.x[0])) == trace.customdata[0][0]
    low, high = shown.figure.layout.xaxis.range
    assert low < math.log10(4) and high > math.log10(48) and shown.figure.layout.yaxis.type == "log"
    assert "FLUX.2 again (32 channels) 82.5" in shown.alt and shown.name == "toy-channels-distance"


def test_every_mark_is_named_once() -> None:
    for shown in drawn.over_channels(spaces(BOTH, {ae: 0.5 for ae in BOTH})).choices.values():
        beside = {note.text[3:-4] for note in shown.figure.layout.annotations}
        points = [trace for trace in shown.figure.data if trace.mode == "markers"]
        in_legend = {trace.name for trace in points if trace.showlegend is not False}
        assert beside | in_legend == {trace.name for trace in points} and not beside & in_legend


def test_views_are_what_there_are_rows_of() -> None:
    both = drawn.over_channels(spaces(BOTH, SHARES))
    assert list(both.choices) == ["distance", "share learned"]
    share = both.choices["share learned"]
    assert set(share.rows["ae"]) == {*LINES, "flux2-plain", "flux2"} and share.name == "toy-channels-share"
    assert share.words.title == (
        "G of linear patches is highest at 8 channels, lower with fewer and with more; alignment raises it at 32 "
        "channels"
    )
    assert "Welch" in share.words.notes and "No autoencoder was trained twice here" in share.words.notes
    assert list(drawn.over_channels(spaces(BOTH)).choices) == ["distance"]


def test_titles_say_no_more_than_noise_allows() -> None:
    assert finding(BOTH) == (
        "FID of linear patches is lowest at 8 and 16 channels, higher with fewer and with more; alignment "
        "lowers it at 32 channels"
    )
    assert finding(BOTH, 0.3) == (
        "FID of linear patches is lowest at 8, 16, 32 and 48 channels, higher with fewer; alignment does not "
        "clearly change it at 32 channels"
    )
    assert finding(BOTH, 2.0).startswith("FID of linear patches does not clearly change from 4 to 48 channels; ")
    assert finding(BOTH, math.nan) == (
        "Whether FID of linear patches changes from 4 to 48 channels cannot be told: its noise is not known; alignment "
        "does not clearly change it at 32 channels"
    )
    assert finding({**BOTH, "flux2-plain": 60.0}).endswith("alignment raises it at 32 channels")
    assert finding(LINES) == "FID of linear patches is lowest at 8 and 16 channels, higher with fewer and with more"
    assert finding(ALIGNED) == "Alignment lowers FID at 32 channels"
    confounded = {ae: ALIGNED[ae] for ae in ("flux1", "flux1-aligned")}
    assert finding(confounded) == "FID without alignment, and with it and another normalisation"


@pytest.mark.parametrize(
    ("distances", "noise", "said"),
    [
        (BOTH, 0.05, "both matter, the number of channels and what they hold."),
        (BOTH, 0.3, "the number of channels matters; whether what they hold does cannot be told within noise."),
        ({**BOTH, **dict.fromkeys(LINES, 70.0)}, 0.05,
         "what they hold matters; whether the number of channels does cannot be told within noise."),
        (BOTH, 2.0, "noise hides whether the number of channels matters, and whether what they hold does."),
        (BOTH, math.inf, "noise hides whether the number of channels matters, and whether what they hold does."),
        (LINES, 0.05, ""),
        (ALIGNED, 0.05, ""),
        ({**LINES, "flux1": 90.0, "flux1-aligned": 50.0}, 0.05, ""),
    ],
)  # fmt: skip
def test_the_answer_is_what_both_comparisons_say(distances: dict[str, float], noise: float, said: str) -> None:
    assert channels_prose.answer(channels.compared(spaces(distances)), Measure("distance", noise)) == said


def test_paragraphs_have_the_numbers_and_what_limits_them() -> None:
    said = channels_prose.channels_in_words({"toy": spaces(BOTH, SHARES), "none": NONE}).split("\n\n")
    assert said[0] == "In study `toy` both matter, the number of channels and what they hold."
    assert said[2].startswith("By [the share $G$](#sec-apart)") and len(said) == 4
    by_distance, by_share = said[1], said[3]
    assert by_distance.startswith("- FD of linear patches is lowest at")
    assert "136 with 4, 70.0 with 8, 70.5 with 16, 80.0 with 32, 82.0 with 48." in by_distance
    assert (
        "At 16 channels alignment came with another normalisation: FD rises from 90.0 of FLUX.1 to 97.0 of FLUX.1 "
        "aligned. What alignment does alone cannot be told there." in by_distance
    )
    assert "alignment lowers FD from 101 of FLUX.2 unaligned to 82.0 of FLUX.2 and 82.5 of FLUX.2" in by_distance
    assert "differ in the seed of the autoencoder alone, and in FD by 0.6 %." in by_distance
    assert "from 70.5 (PCA 16) to 97.0 (FLUX.1 aligned) with 16" in by_distance
    assert "highest at 8 channels, lower with fewer and with more: 0.78 with 4, 0.82 with 8" in by_share
    assert "raises G from 0.50 of FLUX.2 unaligned to 0.64 of FLUX.2 (95 % interval of the difference 0.12" in by_share
    assert "reconstructions alone" not in by_share  # G is best where the distance is


def test_few_channels_that_g_calls_best_are_the_decoders_loss() -> None:
    said = channels_prose.channels_in_words({"toy": spaces(LINES, {**SHARES, "pca4": 0.9})})
    assert "G of linear patches is highest at 4 channels, lower with more" in said
    assert "reconstructions alone are at 50 % of that of PCA 4." in said


def test_a_frechet_distance_that_goes_the_other_way_is_told() -> None:
    for fid, told in ((80.0, True), (99.0, False)):
        made = spaces(BOTH)
        by_kid = {name: getattr(made, name).assign(score="kid") for name in ("generation", "confirmed")}
        own = by_kid["confirmed"]
        by_kid["confirmed"] = own.assign(fid=own["fid"].mask(own["ae"] == "flux1-aligned", fid))
        said = channels_prose.channels_in_words({"toy": dataclasses.replace(made, **by_kid)})
        assert ("while the Fréchet distance of the same samples goes from 90.0 to 80.0" in said) == told
        assert said.count("Fréchet") == told


def test_a_study_without_comparisons_has_no_section() -> None:
    assert not channels_prose.has_comparisons(NONE) and channels_prose.has_comparisons(spaces(LINES))
    assert channels_prose.channels_in_words({"toy": NONE}) == channels_prose.open_question({"toy": NONE}) == ""
    assert channels_prose.open_question({"toy": spaces(LINES)}) == ""
    assert channels_prose.open_question({"toy": spaces(BOTH), "none": NONE}) == (
        "In study `toy` both matter, the number of channels and what they hold. [Channels and "
        "alignment](#sec-channels) has the numbers."
    )
    with pytest.raises(LrcoreError, match="study toy has no comparison of channels or of alignment alone"):
        drawn.over_channels(NONE)
