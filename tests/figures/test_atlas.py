"""lrcore.figures.atlas*: what figures of the atlas say of rows whose answers are known."""

import base64
import dataclasses
import html
import itertools
import json
import math
import re

import figure_rows
import pandas
import pytest
from atlas_rows import COMMIT, GROUPS, WORKS, atlas_rows, group, of_group, row
from foreign_text import FOREIGN

from lrcore.errors import LrcoreError
from lrcore.figures import (
    atlas,
    atlas_forest,
    atlas_guidance,
    atlas_printed,
    atlas_prose,
    atlas_repeats,
    atlas_scatter,
    atlas_shifts_and_scales,
    atlas_swaps,
    atlas_table,
)
from lrcore.figures.beside import STEP, side_by_side
from lrcore.figures.site_table import table_options
from lrcore.records.atlas_vocabulary import KINDS, QUANTITIES
from lrcore.results import atlas_order
from lrcore.results.atlas_predictors import PREDICTORS
from lrcore.results.naming import METRICS


@pytest.fixture(scope="module")
def rows():
    return atlas_rows()


@pytest.fixture(scope="module")
def told(rows):
    return atlas_forest.computed(rows, GROUPS, ["rfid", "psnr", "viv"])


def test_every_source_of_the_atlas_has_an_address_but_for_one_without():
    works = atlas.read_works()
    assert works["rombach2022ldm"].url == "https://arxiv.org/abs/2112.10752"
    assert works["dataarchetype2026capacitor"].title == "capacitor_decoder, model card"
    assert works["minidog2026"].url == ""


def test_a_row_leads_to_the_commit_that_was_read_else_to_its_work():
    assert atlas.address("s", f"owner/name@{COMMIT}", WORKS) == f"https://github.com/owner/name/tree/{COMMIT}"
    assert atlas.address("s", "owner/name@main", WORKS) == WORKS["s"].url
    assert atlas.address("unknown", "", WORKS) == ""


def test_an_address_that_is_no_page_is_left_out(tmp_path):
    path = tmp_path / "a.bib"
    path.write_text("@misc{x1,\n  title = {A {B} C -- D},\n  url = {javascript:alert(1)},\n}\n")
    assert atlas.read_works(path) == {"x1": atlas.Work("A B C – D", "")}
    with pytest.raises(LrcoreError, match="no bibliography"):
        atlas.read_works(tmp_path / "none.bib")


def test_forests_name_groups_for_and_against(told):
    assert list(told) == ["rfid", "psnr"]
    said = "The gFID is worse where the PSNR is better in the one group that counts"
    assert atlas_forest.finding(told["psnr"], "psnr", "gfid") == said
    said = "The gFID is worse where the rFID is better in both groups that count"
    assert atlas_forest.finding(told["rfid"], "rfid", "gfid") == said
    nothing = told["rfid"].assign(counted=False)
    assert atlas_forest.finding(nothing, "rfid", "gfid") == "The gFID and the rFID: no group that counts"
    figure = atlas_forest.forest(told["rfid"], "rfid", "gfid")
    marks = [trace for trace in figure.figure.data if trace.mode == "markers"]
    assert [trace.marker.symbol for trace in marks] == [
        "circle",
        "circle-open",
        "circle",
    ]  # free and guided share latents
    table = atlas_forest.group_table(told["rfid"], "rfid", "gfid").markup
    assert "atlas.html?group=free&amp;x=rfid&amp;y=gfid" in table and "caveat of other" in table
    assert "<th>gFID where the rFID is better</th>" in table and table.count("<td>worse</td>") == 3
    with pytest.raises(LrcoreError, match="no rows"):
        atlas_forest.forest(told["rfid"].iloc[:0], "rfid", "gfid")


def test_a_group_that_holds_0_is_unclear(told):
    unclear = told["rfid"].assign(low=-0.5, high=0.5)
    assert (
        atlas_forest.finding(unclear, "rfid", "gfid") == "The gFID shows a clear link to the rFID in none of 2 groups"
    )
    one = told["psnr"].assign(low=-0.5, high=0.5)
    said = "The gFID shows no clear link to the PSNR in the one group that counts"
    assert atlas_forest.finding(one, "psnr", "gfid") == said
    mixed = told["rfid"].assign(low=[-0.9, -0.9, -0.5], high=[-0.1, -0.1, 0.5])
    said = "The gFID is worse where the rFID is better in 1 of 2 groups; the other is unclear"
    assert atlas_forest.finding(mixed, "rfid", "gfid") == said


WORSE, BETTER = "The gFID is worse where the rFID is better", "The gFID is better where the rFID is better"


@pytest.mark.parametrize(
    ("x", "y", "signs", "said"),
    [
        (
            "rfid",
            "gfid",
            "--00",
            f"{WORSE} in 2 of 4 groups; the other 2 are unclear",
        ),
        (
            "rfid",
            "gfid",
            "+-+0",
            f"{BETTER} in 2 of 4 groups and worse in 1; the other is unclear",
        ),
        ("psnr", "gfid", "--", "The gFID is better where the PSNR is better in both groups that count"),
        ("linear_probe", "is", "---", "The Inception score is worse where the linear probe is better in all 3 groups"),
        (
            "channels_per_token",
            "gfid",
            "+0",
            "The gFID is higher where there are more channels per token in 1 of 2 groups",
        ),
        ("sec_at_0.5", "gfid", "-", "The gFID is lower where the SEC@0.5 is higher in the one group that counts"),
        ("rfid", "best_cfg_scale", "-", "The best guidance scale is higher where the rFID is better in the one group"),
    ],
)
def test_a_forest_says_which_way_is_better(x, y, signs, said):
    ends = {"+": (0.1, 0.9), "-": (-0.9, -0.1), "0": (-0.5, 0.5)}
    rows = pandas.DataFrame([{"low": ends[sign][0], "high": ends[sign][1], "counted": True} for sign in signs])
    assert atlas_forest.finding(rows, x, y).startswith(said)


def test_directions_are_those_of_the_metrics_and_predictors():
    directions = {True: "higher", False: "lower"}
    for name in set(METRICS) & set(QUANTITIES):
        assert atlas.better(name) == directions[METRICS[name].higher_is_better]
        assert atlas.quantity_label(name) == METRICS[name].label
    for name, sign in PREDICTORS.items():
        assert atlas.better(name) in (directions[sign < 0], "")
    assert not any(atlas.better(name) for kind in ("setting", "size", "correlations") for name in KINDS[kind])


def test_every_quantity_has_a_name_that_no_other_has():
    labels = [atlas.quantity_label(name) for name in QUANTITIES]
    assert len(set(labels)) == len(labels) and not any("_" in label for label in labels)
    assert atlas.quantity_label("linear_probe") == "linear probe (%)" and atlas.quantity_label("geneval") == "GenEval"
    told = [atlas.predictor_label(name) for name in ("lds_a", "-psnr", "lnc and srss", "no_such")]
    assert told == ["LDS, first column", "\N{MINUS SIGN}PSNR", "LNC and SRSS", "no such"]
    assert atlas_table.named("pearson_with_gfid", "lds_a") == "Pearson correlation with the gFID, of LDS, first column"


def test_a_source_has_one_look_on_all_figures_of_a_page(told):
    looks = atlas.source_looks(atlas.listed_sources(atlas_rows(), GROUPS))
    assert list(looks) == ["s", "r"] and len({(one.colour, one.symbol) for one in looks.values()}) == 2
    forest = atlas_forest.forest(told["rfid"], "rfid", "gfid", looks)
    colours = [trace.marker.color for trace in forest.figure.data]
    assert colours == [looks[source].colour for source in told["rfid"]["source"]]
    both = atlas_forest.predictor_figure(atlas_forest.counted(told), "gfid", looks).figure.data
    assert [trace.marker.color for trace in both] == [looks["s"].colour, looks["r"].colour]
    every = atlas.source_looks(str(number) for number in range(84)).values()
    assert len({(one.colour, one.symbol) for one in every}) == 84


def test_no_line_goes_through_the_text_of_a_row(told):
    figure = atlas_forest.forest(told["rfid"], "rfid", "gfid").figure
    texts = figure.layout.annotations
    assert [one.text for one in texts] == [f"n = {row.n}: {row.label}" for row in told["rfid"].itertuples()]
    assert {one.templateitemname for one in texts} == {"on-page"} and figure.layout.margin.l == 10


def test_what_transfers_is_clear_in_every_group_of_two_sources(told):
    rows = atlas_forest.counted(told)
    assert atlas_forest.transferring(rows) == {"clear": ["rfid"], "one source": ["psnr"], "not": []}
    assert atlas_forest.transfer(rows, "gfid").startswith(
        "Only rFID clearly points the same way, the wrong one, in every group"
    )
    turned = rows.assign(low=[0.1, *rows["low"][1:]], high=[0.9, *rows["high"][1:]])
    assert atlas_forest.transferring(turned)["not"] == ["rfid"]
    assert "1 of 2 predictors rests on one source alone" in atlas_forest.transfer(turned, "gfid")


def test_better_reconstruction_is_counted_by_its_direction(told):
    # a lower rFID with a higher gFID, a higher PSNR with a higher gFID: better reconstruction, worse generation
    assert atlas_prose.reconstruction(told) == (
        "Yes, but the wrong way: better reconstruction clearly goes with worse generation in 3 of 3 correlations "
        "(one for each measure and group)."
    )
    assert atlas_prose.reconstruction({}) == "No protocol group has 8 latent spaces with both yet."
    strongest = atlas_prose.strongest(told)
    assert strongest.startswith("The rFID has the strongest correlation with the gFID")
    assert strongest.endswith("−1 (Group other). 2 sources measured it in such a group.")
    assert atlas_prose.strongest({"psnr": told["psnr"]}).endswith("Only one source measured it in such a group.")


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        ("++0", "Yes: better reconstruction clearly goes with better generation in 2 of 3 correlations (one"),
        ("-000", "In part, and the wrong way: better reconstruction clearly goes with worse generation in 1 of 4"),
        ("+--", "Sometimes. Better reconstruction clearly goes with better generation in 1 and with worse"),
        ("00", "It is unclear. Of 2 correlations, none is clear in either direction."),
    ],
)
def test_reconstruction_is_answered_as_the_groups_say(told, signs, said):
    ends = {"+": (0.1, 0.9), "-": (-0.9, -0.1), "0": (-0.5, 0.5)}
    lows, highs = zip(*(ends[sign] for sign in signs), strict=True)
    rows = pandas.DataFrame({"low": lows, "high": highs, "counted": True})
    assert atlas_prose.reconstruction({"rfid": rows}).startswith(said)


def test_printed_correlations_stand_beside_those_of_groups(rows, told):
    print_ = {"quantity": "pearson_with_gfid", "predictor": "linear_probe", "n": 27, "source": "w", "generator": "Net"}
    made = [
        row(**print_, value=0.34, place="Table 2"),
        row(**print_, value=-0.81, note="a remark"),
        row(**{**print_, "quantity": "pearson_abs_with_gfid", "predictor": "viv", "n": 0}, value=0.904),
        row(**print_, value=-0.9, secondary=True),
        row(**{**print_, "source": "s"}, value=-0.5),  # has groups of its own
        row(**{**print_, "quantity": "pearson_imagenet_fid_vs_t2i"}, value=-0.4),
    ]
    every = pandas.concat([rows, pandas.DataFrame(made)], ignore_index=True)
    found = atlas_printed.others(every, told)
    assert found[["predictor", "value"]].values.tolist() == [
        ["linear_probe", -0.81],
        ["linear_probe", 0.34],
        ["viv", 0.904],
    ]
    markup = atlas_printed.table(every, told, WORKS).markup
    assert "r −0.81" in markup and "|r| 0.904" in markup and "not stated" in markup and "Net, a remark" in markup


def test_what_guidance_narrows_and_who_wins(rows):
    [part] = atlas_order.with_and_without(rows, "s", 8)
    assert atlas_guidance.finding_of_guidance(part) == (
        "The worst gFID is 10 times the best without guidance, 8.2 times with it; a wins without it, b with it"
    )
    tied = part.assign(unguided=1.0, guided=[2.0, 2.0, *range(3, len(part) + 1)])
    assert atlas_guidance.finding_of_guidance(tied).endswith(
        f"{len(part)} latent spaces tie without it, {' and '.join(part['canonical'].iloc[:2])} with it"
    )
    assert "no source" in atlas_guidance.guided(rows.iloc[:5], WORKS).markup.lower()


def test_swaps_are_counted_inside_a_source(rows):
    found = atlas_swaps.swaps(rows)
    assert found[["over", "source", "pairs", "crossing"]].to_numpy().tolist() == [["guidance", "s", 45, 1]]
    assert atlas_swaps.finding_of_swaps(found) == "Guidance swaps 2\N{SPACE}% of the pairs of latent spaces"
    assert "No source has enough" in atlas_swaps.finding_of_swaps(found.assign(pairs=3))
    few = pandas.concat([found, found.assign(source="r", pairs=4, crossing=0, share=0.0)], ignore_index=True)
    assert atlas_swaps.finding_of_swaps(few).endswith("of the pairs of latent spaces, in sources with 10 pairs or more")


def test_bars_stand_under_their_change_highest_first(rows, monkeypatch):
    told = [("guidance", "s", 0, 4), ("guidance", "r", 6, 12), ("generator", "s", 0, 12), ("generator", "r", 3, 30)]
    found = pandas.DataFrame(
        [(over, source, 1, pairs, swap, swap / pairs, "") for over, source, swap, pairs in told],
        columns=["over", "source", "settings", "pairs", "crossing", "share", "places"],
    )
    monkeypatch.setattr(atlas_swaps, "swaps", lambda *_: found)
    spec = json.loads(re.search(r'class="lrcore-spec">([^<]*)<', atlas_swaps.winners(rows, WORKS).markup)[1])
    names = spec["layout"]["yaxis"]["ticktext"]
    assert names == ["<b>Guidance</b>", "Rice", "Sauce", "<b>Network</b>", "Rice", "Sauce"]
    assert [trace["y"] for trace in spec["data"]] == [[1, 2], [4, 5]]
    assert [trace["marker"]["opacity"] for trace in spec["data"]] == [[1.0, 0.45], [1.0, 1.0]]
    assert all(trace["marker"]["line"]["width"] > 0 for trace in spec["data"])  # or a bar of 0 could not be seen


@pytest.mark.parametrize("many", [1, 2, 7, 13])
def test_marks_of_one_place_stand_side_by_side(many):
    x, y = [64.0] * many + [768.0], [2.0] * (many - 1) + [2.001, 6.93]
    drawn = side_by_side(x, y, list(range(many + 1)))
    assert drawn == side_by_side(x, y, list(range(many + 1))) and drawn[-1] == pytest.approx((768, 6.93))
    logs = [(math.log10(a), math.log10(b)) for a, b in drawn]
    assert are_apart(drawn)
    assert sum(a for a, _ in logs[:-1]) / many == pytest.approx(math.log10(64), abs=STEP[0] / 2)


def are_apart(points):
    """Whether no mark covers another, on logarithmic axes."""
    logs = [(math.log10(a), math.log10(b)) for a, b in points]
    return all(
        max(abs(a - b) / step for a, b, step in zip(one, other, STEP, strict=True)) > 0.95
        for one, other in itertools.combinations(logs, 2)
    )


def test_marks_of_near_places_give_way():
    x, y = [768.0] * 12 + [760.0] * 3, [6.0] * 6 + [6.25] * 6 + [5.8] * 3
    assert are_apart(side_by_side(x, y, list(range(15))))


def test_every_latent_of_every_source_has_a_mark_of_its_own():
    wide = {"channels_per_token": 64, "trainshift": 2.0, "family": "kl", "guidance": "cfg", "guidance_scale": 1.5}
    made = [
        row(canonical=name, source=source, **wide, tokens=t) for source in "sr" for name in "abc" for t in (64, 256)
    ]
    for figure in (atlas_shifts_and_scales.shifts, atlas_shifts_and_scales.scales):
        spec = json.loads(re.search(r'class="lrcore-spec">([^<]*)<', figure(pandas.DataFrame(made), WORKS).markup)[1])
        points = [point for trace in spec["data"] for point in zip(trace["x"], trace["y"], strict=True)]
        assert len(set(points)) == len(points) == 6


def test_shifts_carry_the_label_of_what_compares_no_latents():
    used = [
        row(canonical="n", value=1.0, channels_per_token=16, trainshift=1.0),
        row(canonical="w", value=1.0, channels_per_token=768, trainshift=6.93),
    ]
    markup = atlas_shifts_and_scales.shifts(pandas.DataFrame(used), WORKS).markup
    title = "Sources train tokens of up to 64 channels with shifts of 1, tokens of more than 256 channels with 6.93"
    assert title in markup and f"{title}, most" not in markup
    several = pandas.DataFrame({"channels_per_token": [16, *[768] * 4], "trainshift": [1.0, 2.0, 2.0, 6.93, 8.0]})
    assert atlas_shifts_and_scales.finding_of_shifts(several).endswith("with 2 to 8, most often 2")
    assert atlas_shifts_and_scales.finding_of_shifts(several.drop(1)).endswith("with 2 to 8")
    assert "The points follow different protocols and do not rank latent spaces." in markup


def test_the_scatter_shows_latents_that_have_both(rows):
    found = atlas_scatter.points(rows, GROUPS, WORKS, "free")
    assert atlas_scatter.offered(found) == ["gfid", "psnr", "rfid"]  # sizes are the same for all
    figure = atlas_scatter.scatter(found, GROUPS["free"], "rfid", "gfid")
    assert sum(len(trace.x) for trace in figure.figure.data) == 10
    assert figure.words.title == "a has the best gFID: 2. j has the best rFID: 0.05."
    assert figure.figure.layout.xaxis.title.text == "rFID, lower is better, log scale"
    named = {one.text for one in figure.figure.layout.annotations}
    assert {"<b>a</b>", "<b>j</b>"} <= named
    tied = pandas.DataFrame({"canonical": ["a", "b", "c"], "x": [1.0, 1.0, 1.0], "y": [3.0, 2.0, 2.0]})
    assert (
        atlas_scatter.finding(tied, "rfid", "gfid")
        == "b and c have the best gFID: 2. 3 latent spaces have the best rFID: 1."
    )
    said = "a has the best Inception score: 3. 3 latent spaces have the best PSNR (dB): 1."
    assert atlas_scatter.finding(tied, "psnr", "is") == said
    assert atlas_scatter.finding(tied, "tokens", "gfid") == "b and c have the best gFID: 2."
    assert atlas_scatter.finding(tied, "tokens", "lds_a") == "LDS, first column against tokens, 3 latent spaces."
    assert {symbol for trace in figure.figure.data for symbol in trace.marker.symbol} == {
        "circle", "square", "star", "pentagon"
    }  # fmt: skip
    unknown_size = atlas_scatter.scatter(
        atlas_scatter.points(rows, GROUPS, WORKS, "other"), GROUPS["other"], "rfid", "gfid"
    )
    assert unknown_size.figure.data[0].marker.symbol[0] == "circle-open"
    with pytest.raises(LrcoreError, match="ssim"):
        atlas_scatter.scatter(found, GROUPS["free"], "ssim", "gfid")
    with pytest.raises(LrcoreError, match="group"):
        atlas_scatter.points(rows, GROUPS, WORKS, "no such")


def test_larger_latents_have_larger_points():
    sizes = [atlas_scatter.diameter(numbers) for numbers in (1024, 4096, 65_536, 10**9)]
    assert sizes == [9, 13, 21, 28] and atlas_scatter.diameter(0) == 9


def test_axes_are_logarithmic_where_values_span_much():
    spans = [1, 8], [1, 7], [0, 100], [-1, 9]
    assert [atlas_scatter.axis(values)["type"] for values in spans] == ["log", "linear", "linear", "linear"]


def test_what_a_page_fetches_stays_out_of_it(rows, monkeypatch, tmp_path):
    monkeypatch.setenv("LRCORE_FETCHED", str(tmp_path / "fetched"))
    many = pandas.concat([rows, rows.assign(canonical=rows["canonical"] + "2")], ignore_index=True)
    page = atlas_scatter.explorer(many, GROUPS, WORKS).markup + atlas_table.everything(many, WORKS).markup
    page += atlas_table.profiles(many, WORKS).markup
    links = re.findall(r'(?:data-from|href)="(fetched/[0-9a-f]{16}\.\w+)"', page)
    assert sorted(name.rsplit(".")[1] for name in links) == ["csv", "json", "json", "json"]
    points, options, told = [json.loads((tmp_path / name).read_text()) for name in links if name.endswith("json")]
    assert [one["group"] for one in points["groups"]] == ["free", "guided", "ae", "other"]
    assert {len(column) for column in options["columns"]} == {len(many)} and set(told["profiles"]) >= {"a", "a2", "k"}


def test_what_is_packed_can_be_put_together_again(rows):
    frame = atlas_table.table_frame(rows, WORKS)
    packed = atlas_table.packed(table_options(frame))
    texts, columns = packed["texts"], packed["columns"]
    assert len(set(texts)) == len(texts) and "data_json" not in packed
    again = [[texts[number] for number in column] for column in columns]
    assert [list(line) for line in zip(*again, strict=True)] == json.loads(table_options(frame)["data_json"])
    markup = atlas_table.profiles(rows, WORKS).markup
    spec = json.loads(re.search(r"<script[^>]*>([^<]*)</script>", markup)[1])
    shown = ["".join(spec["texts"][number] for number in part) for part in spec["profiles"].values()]
    assert shown[0] in markup and next(iter(spec["profiles"])) == "a"
    assert "".join(spec["texts"][number] for number in spec["profiles"]["b"]).startswith("<p><strong>b</strong>")


def test_foreign_text_stays_text(rows):
    made = pandas.DataFrame(of_group([1.0, 2.0, 3.0], "ae", quantity="rfid"))
    made = pandas.concat(
        [
            rows,
            made.assign(
                canonical=FOREIGN["image"], place=FOREIGN["script"], note=FOREIGN["markdown"], value=[4.0, 4.0, 4.0]
            ),
        ],
        ignore_index=True,
    )
    shown = [atlas_scatter.explorer(made, GROUPS, WORKS), atlas_table.everything(made, WORKS)]
    for markup in [*(one.markup for one in shown), atlas_table.profiles(made, WORKS).markup]:
        assert "<img src" not in markup and "<script>window" not in markup


def marks(markup):
    """Keys of the marks of a figure, and of the lines of its table, with the addresses of their links."""
    figure = json.loads(re.search(r'class="lrcore-spec">([^<]*)<', markup)[1])
    drawn = {key for trace in figure["data"] for key in trace.get("customdata", [])}
    lines = re.findall(r'<tr data-mark="([^"]*)">(.*?)</tr>', markup)
    return drawn, {html.unescape(key): re.findall(r'href="(http[^"]*)"', line) for key, line in lines}


def test_every_mark_leads_to_its_sources(rows):
    size = {"downsampling": 8, "tokens": 256, "channels_per_token": 64, "family": "kl"}
    made = pandas.DataFrame(
        [
            *rows.to_dict("records"),
            row(canonical="x", **size, trainshift=2.0, place="Table 7"),
            row(canonical="x", **size, trainshift=2.0, source="r", repository=f"owner/name@{COMMIT}"),
            row(canonical="x", **size, quantity="best_cfg_scale", value=1.5, source="r", place="config"),
            row(canonical="y", **size, guidance="cfg", guidance_scale=1.5),
        ]
    )
    figures = {
        "winners": (atlas_swaps.winners(made, WORKS), 1),
        "guided": (atlas_guidance.guided(made, WORKS, 8), 2),
        "shifts": (atlas_shifts_and_scales.shifts(made, WORKS), 1),
        "scales": (atlas_shifts_and_scales.scales(made, WORKS), 1),
    }
    for name, (figure, links) in figures.items():
        drawn, lines = marks(figure.markup)
        assert drawn and drawn == set(lines), name
        assert all(len(found) == links for found in lines.values()), name
    shifts = marks(figures["shifts"][0].markup)[1]
    assert shifts == {"s|x|2.0": [WORKS["s"].url], "r|x|2.0": [f"https://github.com/owner/name/tree/{COMMIT}"]}
    scales = figures["scales"][0].markup
    assert "found best" in scales and "used" in scales and "Guidance scales of 1.5 have been used" in scales


def test_best_scales_are_told_by_family_in_the_source_that_searched_most():
    made = [
        ("kl", 16, 1.5),
        ("kl", 64, 2.0),
        ("frozen-encoder", 768, 5.0),
        ("frozen-encoder", 768, 9.0),
        ("pixels", 768, 2.5),
    ]
    searched = {"tokens": 256, "quantity": "best_cfg_scale"}
    rows = [row(canonical=f"{c} {v}", family=f, channels_per_token=c, value=v, **searched) for f, c, v in made]
    other = row(canonical="o", family="kl", channels_per_token=32, value=10.0, source="r", **searched)
    title = (
        "In Sauce, the best guidance scale of frozen encoder latents is 5 to 9, above pixels (2.5) and KL (1.5 to 2)"
    )
    assert title in atlas_shifts_and_scales.scales(pandas.DataFrame([*rows, other]), WORKS).markup
    wider = row(canonical="w", family="pixels", channels_per_token=768, value=6.0, **searched)
    assert (
        "is 5 to 9, compared with pixels (2.5 to 6)"
        in atlas_shifts_and_scales.scales(pandas.DataFrame([*rows, wider]), WORKS).markup
    )


def test_how_far_one_number_differs_is_told_by_quantity():
    told = [*(("lpips", factor - 1) for factor in (2.4, 11, 34)), *(("ssim", share) for share in (0.01, 0.02, 0.07))]
    rows = pandas.DataFrame(told, columns=["quantity", "difference"])
    assert atlas_repeats.finding_of_repeats(rows) == (
        "The same quantity, with the same stated protocol, differs between sources by 74\N{SPACE}% in the median: "
        "LPIPS by a factor of 11 (2.4 to 34), SSIM by 2\N{SPACE}% (1 to 7\N{SPACE}%)"
    )
    assert atlas_repeats.finding_of_repeats(rows[3:]).endswith("differs between sources by 2\N{SPACE}% in the median")


def test_a_profile_has_every_figure_and_its_contradictions():
    alike = {"canonical": "x", "family": "kl", "quantity": "psnr", "unit": "dB", "dataset": "imagenet", "split": "val"}
    made = pandas.DataFrame(
        [
            row(**alike, value=20.5),
            row(**alike, value=21.25, source="r", place="Table 9"),
            row(**alike, value=30.0, source="r", secondary=True),
            row(canonical="x", family="kl", value=800.0, bound=">", tokens=64, channels_per_token=16),
        ]
    )
    markup = atlas_table.profiles(made, WORKS).markup
    assert "<strong>x</strong>: KL, 1,024 numbers per latent. 4 values from 2 sources, 1 difference" in markup
    line = re.search("<li>(.*?)</li>", markup)[1]
    assert re.sub("<.*?>", "", line) == "PSNR (dB), imagenet val: 20.5 (Sauce) and 21.25 (Rice)"
    assert WORKS["s"].url in line and WORKS["r"].url in line
    assert "PSNR (dB): 20.5 to 30, 3 values from 2 sources" in markup and "&gt;800" in markup
    assert "not read at its source" in markup and "Table 9" in markup
    kinds = re.findall('<p class="lrcore-note">(.*?)</p>', markup)
    assert kinds[-2:] == ["Samples", "Reconstruction"]


def test_the_list_of_quantities_stands_under_what_they_are_of(rows):
    markup = atlas_table.everything(rows, WORKS).markup
    groups = re.findall('<optgroup label="(.*?)">(.*?)</optgroup>', markup)
    assert [(kind, re.findall(">([^<]+)</option>", of_kind)) for kind, of_kind in groups] == [
        ("Samples", ["gFID"]),
        ("Reconstruction", ["PSNR (dB)", "rFID"]),
    ]


def test_groups_without_two_quantities_are_counted_and_not_offered(rows):
    more = pandas.DataFrame(of_group([1.0, 2.0, 3.0], "alone", tokens=64, channels_per_token=16))
    every = pandas.concat([rows, more], ignore_index=True)
    groups = {**GROUPS, "alone": group("alone"), "without rows": group("without rows")}
    assert (
        "You can choose 4 of 5 protocol groups: a choice needs two quantities"
        in atlas_scatter.explorer(every, groups, WORKS).markup
    )


def test_the_download_has_every_column_and_an_address(rows):
    markup = atlas_table.everything(rows, WORKS).markup
    text = base64.b64decode(re.search(r"base64,([^\"]*)", markup)[1]).decode()
    first, *lines = text.splitlines()
    assert first.split(",") == [*rows.columns, "address"] and len(lines) == len(rows)


def test_without_rows_pages_say_so(rows):
    none = rows.iloc[:0]
    shown = [
        atlas_forest.forests({}, ["rfid"]),
        atlas_forest.predictors({}),
        atlas_swaps.winners(none, WORKS),
        atlas_guidance.guided(none, WORKS),
        atlas_shifts_and_scales.shifts(none, WORKS),
        atlas_shifts_and_scales.scales(none, WORKS),
        atlas_repeats.reproducible(none),
        atlas_scatter.explorer(none, {}, WORKS),
        atlas_table.everything(none, WORKS),
        atlas_table.profiles(none, WORKS),
    ]
    assert all(one.markup.startswith("<p>") and one.markup.endswith("yet.</p>") for one in shown)
    assert atlas_prose.small_studies({}).startswith("No study of this site has rows yet.")


def test_a_study_of_many_says_how_reconstruction_goes_with_samples():
    names = [f"ae{number}" for number in range(9)]
    one, few = figure_rows.generation_rows(aes=("sd",)), figure_rows.study(figure_rows.generation_rows())
    place = dict(zip(names, range(1, 10), strict=True))
    rows = pandas.concat([one.assign(ae=name) for name in names])
    rank = rows["ae"].map(place)
    rows = rows.assign(fid=rank, gaussian_kid=10.0, reconstruction_kid=0.5 / rank)
    lpips = few.reconstruction.query("metric == 'lpips_vgg'").head(1)
    fidelity = pandas.concat([lpips.assign(ae=name, value=float(place[name])) for name in names])
    many = dataclasses.replace(few, generation=rows, reconstruction=fidelity)
    said = atlas_prose.small_studies({"toy": many, "few": few})
    assert (
        "with 9 autoencoders, LPIPS of reconstructions has a rank correlation (Spearman's) of 1.00 with the FD" in said
    )
    assert "and −1.00 with 1 − G, apart from the decoder. Above 0, better" in said
    assert "Study few has 4 autoencoders, too few for a correlation" in said
