"""Yours beside those of another study: one table of both, and what is said of what it lacks."""

from __future__ import annotations

import pandas
import pytest
from figure_rows import generation_rows, reconstruction_rows

from lrcore.errors import LrcoreError
from lrcore.records import reading
from lrcore.records.schema import TABLES
from lrcore.results.comparison import compared, comparison_table
from lrcore.results.study_rows import StudyRows

ENDS = (("reconstructions", 5.0), ("test", 1.0))
READERS = {name: getattr(reading, f"read_{name}") for name in TABLES}


def tables(name: str, aes: tuple[str, ...], anchored: bool = True, **changed: object) -> dict[str, pandas.DataFrame]:
    """A study's rows of one density at the last step, with anchors of 64 images: noise at 60, Gaussian at 32."""
    found = {kind: reader("no such folder") for kind, reader in READERS.items()}
    rows = generation_rows(aes=aes).query("step == 200 and trainp == 'ln' and repa == 'none'")
    anchors = pandas.DataFrame(
        [
            {"study": name, "ae": ae, "anchor": anchor, "target": "reference", "fid": fid, "kid": fid / 1000,
             "n_samples": 64, "feature_network": "efficientnet_lite0", "feature_protocol": "toy",
             "reference": "toy/train", "n_reference": 1024}
            for ae in aes for anchor, fid in (("noise", 60.0), ("gaussian", 32.0), *ENDS)
        ]
    )  # fmt: skip
    own = {"generation": rows.assign(study=name, **changed), "reconstruction": reconstruction_rows(aes)}
    return found | own | ({"anchors": anchors} if anchored else {})


def both(mine: dict[str, pandas.DataFrame], theirs: dict[str, pandas.DataFrame]) -> StudyRows:
    found = compared(mine, theirs)
    assert found is not None
    return found


def lines(table: str) -> dict[str, list[str]]:
    """The words of a line by its autoencoder."""
    rows = [line.replace("~", "").split() for line in table.splitlines()[2:]]
    return {row[0]: row for row in rows if len(row) > 8 and row[1] in ("mine", "theirs")}


def test_yours_stand_among_theirs_with_anchors_and_what_was_learned() -> None:
    table = comparison_table(both(tables("mine", ("own",)), tables("theirs", ("rae", "flux1"))))
    # 30, 10 and 50, halved at the last step
    assert list(lines(table)) == ["rae", "own", "flux1"]
    assert lines(table)["own"][1:8] == ["mine", "15.0", "1", "60.0", "32.0", "5.00", "1.00"]
    assert lines(table)["own"][8] == "0.95"  # 1 - 13 / 250
    assert table.splitlines()[0] == (
        "by FD (EfficientNet-Lite0), lower is better: the best of the 4 settings that all autoencoders share, at "
        "step 200; 64 samples against toy/train"
    )
    assert "The samples that chose the settings measure them, too" in table


def test_a_best_that_is_no_better_than_a_gaussian_is_marked_and_named() -> None:
    table = comparison_table(both(tables("mine", ("own",)), tables("theirs", ("rae", "flux1"))))
    marked = [line.split()[1] for line in table.splitlines() if line.startswith("~ ") and "study" not in line]
    assert marked == ["flux1", "a"]  # and the line that says what the mark means
    assert (
        "Not clearly better than decoded Gaussian latents by FD (EfficientNet-Lite0): FLUX.1 (25 against 32)" in table
    )


def test_what_the_rows_lack_is_said() -> None:
    theirs = tables("theirs", ("rae", "flux1"), anchored=False, reconstruction_kid=float("nan"))
    table = comparison_table(both(tables("mine", ("own",)), theirs), ["own", "rae", "flux1", "sd"])
    assert "No anchors in these rows: RAE, FLUX.1." in table and "No rows yet of sd." in table
    assert "No G of rae, flux1: no distance of samples to reconstructions in these rows." in table
    assert lines(table)["rae"][4:9] == ["–"] * 5 and "own" not in table.split("No anchors")[1].split(".")[0]


def test_an_autoencoder_that_diverged_throughout_is_named() -> None:
    mine = tables("mine", ("own",), fid=float("nan"), kid=float("nan"), status="diverged")
    table = comparison_table(both(mine, tables("theirs", ("rae",))))
    assert "Every training diverged: own." in table and list(lines(table)) == ["rae"]


def test_rows_of_two_protocols_are_never_in_one_table() -> None:
    theirs = tables("theirs", ("rae",))
    for column, value in (
        ("sampling_steps", 10), ("reference", "else"), ("feature_protocol", "else"), ("feature_network", "else"),
        ("n_samples", 65), ("width", 64.0),
    ):  # fmt: skip
        with pytest.raises(LrcoreError, match=rf"distances with different {column} cannot be compared"):
            compared(tables("mine", ("own",), **{column: value}), theirs)


def test_nothing_at_all_is_no_table() -> None:
    none = {kind: reader("no such folder") for kind, reader in READERS.items()}
    assert compared(none, none) is None
    assert list(lines(comparison_table(both(none, tables("theirs", ("rae",)))))) == ["rae"]


def test_the_choice_decides_where_all_have_it() -> None:
    """Fresh samples: 10 % worse than the grid had it, of two trainings."""
    parts = []
    for name, aes in (("mine", ("own",)), ("theirs", ("rae",))):
        part = tables(name, aes)
        best = part["generation"].query("trainshift == 1.78 and sampleshift == 1.0")
        again = [best.assign(train_seed=seed, sample_seed=1, fid=best["fid"] * (1.09 + seed / 50)) for seed in (0, 1)]
        parts.append(part | {"generation": pandas.concat([part["generation"], *again], ignore_index=True)})
    table = comparison_table(both(*parts))
    assert table.startswith("by FD (EfficientNet-Lite0), lower is better: chosen settings, measured anew")
    assert lines(table)["rae"][2:6] == ["5.50", "±", "0.05", "2"]
    assert "flatters" not in table and "~" not in table
    grid = comparison_table(both(parts[0], tables("theirs", ("rae",))))
    assert "of the 4 settings that all autoencoders share" in grid and lines(grid)["own"][2] == "15.0"
