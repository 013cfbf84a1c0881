"""Claims on tuned timesteps and on REPA: on rows that bear them out, that refute them, and that cannot tell."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from figure_rows import BASE, generation_rows, published_rows, study

from lrcore.results import tuning_claims as claims
from lrcore.results.evidence import Evidence, evidence


def given(rows: pandas.DataFrame | None = None, noise: float = 0.05) -> Evidence:
    found = evidence(study(generation_rows() if rows is None else rows), published_rows())
    return dataclasses.replace(found, noise=noise, noise_of_best=noise)


def scaled(factor: float, **where: object) -> pandas.DataFrame:
    rows = generation_rows()
    hit = (rows[list(where)] == pandas.Series(where)).all(axis=1)
    assert hit.any()
    return rows.assign(fid=rows["fid"].mask(hit, rows["fid"] * factor))


def test_shift_decides() -> None:
    """Without REPA RAE is 6.0 without shift and 5.0 tuned, FLUX.2 10.0 tuned."""
    untuned = scaled(2.0, ae="rae", trainshift=1.0, sampleshift=1.0, repa="none")
    found = claims.shift_decides(given(untuned))
    assert found.verdict == "holds" and found.published == "gFID RAE 3.10, FLUX.2 3.70, both tuned"
    assert found.here == (
        "FD (EfficientNet-Lite0) of RAE without shift 12; at the best of the settings that all autoencoders share, "
        "without REPA, RAE 5.00, FLUX.2 10.0"
    )
    assert claims.shift_decides(given()).verdict == "does not hold"  # wins without a shift, too
    assert claims.shift_decides(given(untuned, noise=math.nan)).verdict == "points the same way"
    shifted = untuned[untuned["sampleshift"] != 1.0]
    assert claims.shift_decides(given(shifted)).verdict == "incomplete"
    assert claims.shift_decides(given(shifted)).here == "RAE was not measured at shifts of 1"


def test_sample_shift_is_larger() -> None:
    assert claims.sample_shift_is_larger(given()).verdict == "does not hold"  # 1.78 and 1.00 by construction
    rows = generation_rows()
    rows = rows.assign(fid=rows["fid"] * rows["sampleshift"].map({1.0: 4.0, 1.78: 1.0}))
    found = claims.sample_shift_is_larger(given(rows))
    assert found.verdict == "holds" and "sample shift 1.78 for SD, 1.78 for FLUX.1" in found.here
    assert claims.sample_shift_is_larger(given(rows, noise=9.0)).verdict == "within noise"
    assert claims.sample_shift_is_larger(given(rows[(rows["ae"] != "sd")])).verdict == "incomplete"


def test_repa_lowers_the_train_shift() -> None:
    assert claims.repa_lowers_the_train_shift(given()).verdict == "does not hold"  # the same with and without
    found = claims.repa_lowers_the_train_shift(
        given(scaled(0.5, ae="flux1", repa="efficientnet_lite0", trainshift=1.0))
    )
    assert found.verdict == "holds" and "with it 1.78 for SD, 1.00 for FLUX.1" in found.here
    rises = scaled(0.5, ae="sd", repa="none", trainshift=1.0)
    assert claims.repa_lowers_the_train_shift(given(rises)).verdict == "does not hold"
    plain = generation_rows().query("repa == 'none'")
    assert claims.repa_lowers_the_train_shift(given(plain)).verdict == "no rows yet"


def own_setting(factor: float) -> pandas.DataFrame:
    """The grid, and RAE at the setting of its authors, so many times as far as its best one without REPA."""
    rows = generation_rows()
    own = rows[(rows["ae"] == "rae") & (rows["repa"] == "none") & (rows["trainp"] == "ts")]
    own = own[(own["trainshift"] == 1.78) & (own["sampleshift"] == 1.0)].assign(trainshift=6.93, sampleshift=6.93)
    return pandas.concat([rows, own.assign(fid=own["step"].map({100: 1.0, 200: 0.5}) * BASE["rae"] * factor)])


def test_ln_with_repa_beats_raes_own() -> None:
    found = claims.ln_with_repa_beats_raes_own(given(own_setting(1.0)))
    assert found.verdict == "holds"
    assert found.here == "FD (EfficientNet-Lite0) 4 with ln and REPA, 5 at RAE's own setting"
    assert claims.ln_with_repa_beats_raes_own(given(own_setting(0.5))).verdict == "does not hold"
    assert claims.ln_with_repa_beats_raes_own(given(own_setting(0.81))).verdict == "within noise"
    assert claims.ln_with_repa_beats_raes_own(given()).verdict == "incomplete"
    assert claims.ln_with_repa_beats_raes_own(given(generation_rows(aes=("sd",)))).verdict == "no rows yet"


def test_flux2_comes_nearest() -> None:
    assert claims.flux2_comes_nearest(given(own_setting(1.0))).verdict == "holds"
    swapped = own_setting(1.0)
    swapped = swapped.assign(fid=swapped["fid"].mask(swapped["ae"] == "flux2", swapped["fid"] * 9))
    assert claims.flux2_comes_nearest(given(swapped)).verdict == "does not hold"
    # RAE's own at 20: FLUX.1 is as far, SD at 16 the nearest
    assert claims.flux2_comes_nearest(given(own_setting(4.0))).verdict == "does not hold"
    assert claims.flux2_comes_nearest(given()).here == "RAE was not measured at its own setting"
    assert claims.flux2_comes_nearest(given()).verdict == "incomplete"


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (0.8, 0.05, "holds"),
        (1.02, 0.05, "within noise"),
        (1.2, 0.05, "does not hold"),
        (1.2, math.nan, "points the other way"),
        (0.8, math.nan, "points the same way"),
        (0.8, math.inf, "within noise"),  # nothing is known, so that nothing is as good
    ],
)
def test_itself_teaches_as_well(factor: float, noise: float, verdict: str) -> None:
    rows = generation_rows()
    towards = rows[rows["repa"] != "none"]
    both = pandas.concat([rows, towards.assign(repa="self", fid=towards["fid"] * factor)])
    found = claims.itself_teaches_as_well(given(both, noise))
    assert found.verdict == verdict
    assert claims.itself_teaches_as_well(given(both[~((both["ae"] == "sd") & (both["repa"] == "self"))])).verdict == (
        "incomplete"
    )
    assert claims.itself_teaches_as_well(given(rows)).verdict == "no rows yet"
