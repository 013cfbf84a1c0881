"""lrcore.figures.atlas*: what figures of the atlas say of rows whose answers are known."""

import base64
import html
import json
import re

import pandas
import pytest
from atlas_rows import COMMIT, GROUPS, WORKS, atlas_rows, of_group, row
from foreign_text import FOREIGN

from lrcore.errors import LrcoreError
from lrcore.figures import atlas, atlas_findings, atlas_forest, atlas_prose, atlas_scatter, atlas_table
from lrcore.figures.embed import table_options
from lrcore.results import atlas as statistics


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
    said = "The gFID rises with the PSNR in the one group that counts"
    assert atlas_forest.finding(told["psnr"], "psnr", "gfid") == said
    said = "The gFID falls with the rFID in both groups that count"
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
    with pytest.raises(LrcoreError, match="no rows"):
        atlas_forest.forest(told["rfid"].iloc[:0], "rfid", "gfid")


def test_a_group_that_holds_0_is_unclear(told):
    unclear = told["rfid"].assign(low=-0.5, high=0.5)
    assert atlas_forest.finding(unclear, "rfid", "gfid") == "The gFID goes clearly with the rFID in none of 2 groups"
    one = told["psnr"].assign(low=-0.5, high=0.5)
    said = "The gFID does not go clearly with the PSNR in the one group that counts"
    assert atlas_forest.finding(one, "psnr", "gfid") == said
    mixed = told["rfid"].assign(low=[-0.9, -0.9, -0.5], high=[-0.1, -0.1, 0.5])
    said = "The gFID falls with the rFID in 1 and does neither clearly in 1 of 2 groups"
    assert atlas_forest.finding(mixed, "rfid", "gfid") == said


def test_what_transfers_is_clear_in_every_group_of_two_sources(told):
    rows = atlas_forest.counted(told)
    assert atlas_forest.transferring(rows) == {"clear": ["rfid"], "one source": ["psnr"], "not": []}
    assert atlas_forest.transfer(rows, "gfid").startswith("Only rFID points clearly the same way in every group")
    turned = rows.assign(low=[0.1, *rows["low"][1:]], high=[0.9, *rows["high"][1:]])
    assert atlas_forest.transferring(turned)["not"] == ["rfid"]
    assert "1 of 2 predictors has been measured by one source only" in atlas_forest.transfer(turned, "gfid")


def test_better_reconstruction_is_counted_by_its_direction(told):
    # a lower rFID with a higher gFID, a higher PSNR with a higher gFID: better reconstruction, worse generation
    said = atlas_prose.reconstruction(told)
    assert said.startswith("It does not. Of 3 pairs") and "generation in 0, clearly with worse generation in 3" in said
    assert atlas_prose.reconstruction({}) == "No protocol group has 8 latents with both yet."
    assert "correlation is that of the rFID: −1 in Group other. Groups of 2 sources" in atlas_prose.strongest(told)


def test_what_guidance_narrows_and_who_wins(rows):
    [part] = statistics.with_and_without(rows, "s", 8)
    assert atlas_findings.finding_of_guidance(part) == (
        "The worst latent's gFID is 10 times the best one's without guidance, 8.2 times with it; "
        "a wins without, b with it"
    )
    tied = part.assign(unguided=1.0, guided=[2.0, 2.0, *range(3, len(part) + 1)])
    assert atlas_findings.finding_of_guidance(tied).endswith(
        f"{len(part)} latents tie without, {' and '.join(part['canonical'].iloc[:2])} with it"
    )
    assert "no source" in atlas_findings.guided(rows.iloc[:5], WORKS).markup.lower()


def test_swaps_are_counted_inside_a_source(rows):
    found = atlas_findings.swaps(rows)
    assert found[["over", "source", "pairs", "crossing"]].to_numpy().tolist() == [["guidance", "s", 45, 1]]
    assert atlas_findings.finding_of_swaps(found) == "Guidance swaps 2\N{SPACE}% of the pairs of latents"
    assert "No source has enough" in atlas_findings.finding_of_swaps(found.assign(pairs=3))


def test_shifts_carry_the_label_of_what_compares_no_latents():
    used = [
        row(canonical="n", value=1.0, channels_per_token=16, trainshift=1.0),
        row(canonical="w", value=1.0, channels_per_token=768, trainshift=6.93),
    ]
    markup = atlas_findings.shifts(pandas.DataFrame(used), WORKS).markup
    title = "Tokens of up to 64 channels are trained with shifts of 1, those of more than 256 with 6.93"
    assert title in markup and f"{title}, most" not in markup
    several = pandas.DataFrame({"channels_per_token": [16, *[768] * 4], "trainshift": [1.0, 2.0, 2.0, 6.93, 8.0]})
    assert atlas_findings.finding_of_shifts(several).endswith("with 2 to 8, most often 2")
    assert atlas_findings.finding_of_shifts(several.drop(1)).endswith("with 2 to 8")
    assert "Over protocols: no ranking of latents." in markup


def test_the_scatter_shows_latents_that_have_both(rows):
    found = atlas_scatter.points(rows, GROUPS, WORKS, "free")
    assert atlas_scatter.offered(found) == ["gfid", "psnr", "rfid", "channels_per_token", "tokens"]
    figure = atlas_scatter.scatter(found, GROUPS["free"], "rfid", "gfid")
    assert sum(len(trace.x) for trace in figure.figure.data) == 10
    assert figure.words.title == "Lowest gFID: a, 2. Lowest rFID: j, 0.05."
    tied = pandas.DataFrame({"canonical": ["a", "b", "c"], "x": [1.0, 1.0, 1.0], "y": [3.0, 2.0, 2.0]})
    assert atlas_scatter.finding(tied, "rfid", "gfid") == "Lowest gFID: b and c, 2. Lowest rFID: 3 latents, 1."
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
        "winners": (atlas_findings.winners(made, WORKS), 1),
        "guided": (atlas_findings.guided(made, WORKS, 8), 2),
        "shifts": (atlas_findings.shifts(made, WORKS), 1),
        "scales": (atlas_findings.scales(made, WORKS), 1),
    }
    for name, (figure, links) in figures.items():
        drawn, lines = marks(figure.markup)
        assert drawn and drawn == set(lines), name
        assert all(len(found) == links for found in lines.values()), name
    shifts = marks(figures["shifts"][0].markup)[1]
    assert shifts == {"s|x|2.0": [WORKS["s"].url], "r|x|2.0": [f"https://github.com/owner/name/tree/{COMMIT}"]}
    scales = figures["scales"][0].markup
    assert "found best" in scales and "used" in scales and "Guidance scales of 1.5 have been used" in scales


def test_best_scales_are_told_by_width():
    wide = {"tokens": 256, "quantity": "best_cfg_scale", "family": "kl"}
    made = [(16, 1.5), (64, 2.0), (512, 5.0), (768, 9.0), (128, 3.0)]
    rows = pandas.DataFrame([row(canonical=str(c), channels_per_token=c, value=v, **wide) for c, v in made])
    assert "up to 64 channels is 1.5 to 2, that of more than 256 channels 5 to 9" in (
        atlas_findings.scales(rows, WORKS).markup
    )


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
    assert "<strong>x</strong>: KL, 1,024 numbers a latent. 4 figures of 2 sources, 1 contradiction" in markup
    line = re.search("<li>(.*?)</li>", markup)[1]
    assert re.sub("<.*?>", "", line) == "PSNR (dB), imagenet val: 20.5 (Sauce) and 21.25 (Rice)"
    assert WORKS["s"].url in line and WORKS["r"].url in line
    assert "PSNR (dB): 20.5 to 30, 3 figures of 2 sources" in markup and "&gt;800" in markup
    assert "not read at its source" in markup and "Table 9" in markup


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
        atlas_findings.winners(none, WORKS),
        atlas_findings.guided(none, WORKS),
        atlas_findings.shifts(none, WORKS),
        atlas_findings.scales(none, WORKS),
        atlas_findings.reproducible(none),
        atlas_scatter.explorer(none, {}, WORKS),
        atlas_table.everything(none, WORKS),
        atlas_table.profiles(none, WORKS),
    ]
    assert all(one.markup.startswith("<p>") and one.markup.endswith("yet.</p>") for one in shown)
    assert atlas_prose.small_studies({}).startswith("No study of this site has rows yet.")
