"""lrcore.results.published_wording: every number in a sentence comes from the rows."""

from __future__ import annotations

import pytest
from figure_rows import published_rows

from lrcore.errors import LrcoreError
from lrcore.results import published_wording


def test_published_sentences() -> None:
    rows = published_rows()
    assert published_wording.published_comparison(rows, "flux2", "sd") == "FLUX.2 against SD: gFID −52 %, LPIPS −72 %"
    assert "train shift 61.5 % (RAE) to 86.42 % (FLUX.1)" in published_wording.published_spreads(rows)
    assert "1.78 for SD (200k steps)" in published_wording.published_best(rows, "trainshift")
    assert "6.93 for RAE" in published_wording.published_best(rows, "sampleshift")
    assert "2.95 for FLUX.1 (DiT-XL with REPA, 700k steps)" in published_wording.published_best(rows, "sampleshift")
    all_alike = "ln for all 4 autoencoders (DiT-XL with REPA, 700k steps)"
    assert published_wording.published_best(rows, "trainp") == all_alike
    for refused in (published_wording.published_spreads, lambda r: published_wording.published_best(r, "trainshift")):
        with pytest.raises(LrcoreError, match="no rows"):
            refused(rows.head(0))
    with pytest.raises(LrcoreError, match="no gfid of 'reptok'"):
        published_wording.published_comparison(rows, "reptok", "sd")


def test_changes_from_and_to() -> None:
    rows = published_rows()
    assert published_wording.changes_from(rows, "sd") == (
        "FLUX.1 gFID +31 %, LPIPS −64 %; FLUX.2 gFID −52 %, LPIPS −72 %; RAE gFID −60 %, LPIPS +76 %"
    )
    assert published_wording.changes_to(rows, "flux2") == (
        "SD gFID −52 %, LPIPS −72 %; FLUX.1 gFID −63 %, LPIPS −21 %; RAE gFID +19 %, LPIPS −84 %"
    )
