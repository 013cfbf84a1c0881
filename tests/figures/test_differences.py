"""lrcore.figures.differences: sizes against the rows, the band against the noise."""

from __future__ import annotations

import pytest
from figure_rows import BASE, begun, generation_rows, published_rows, study, with_seeds

from lrcore.errors import LrcoreError
from lrcore.figures.differences import against_noise, spreads_beside_published
from lrcore.results import findings

PUBLISHED = published_rows()


def test_differences_beside_the_noise() -> None:
    rows = with_seeds(0.1)
    shown = against_noise(study(rows))
    found = shown.rows.set_index(["kind", "ae"])["difference"]
    for ae in BASE:
        assert found["two seeds", ae] == pytest.approx(2 * 2**0.5 * 0.1 * 2**0.5)
        assert found["REPA", ae] == pytest.approx(0.2)
        assert found["train shift", ae] == pytest.approx(0.2) and found["sample shift", ae] == pytest.approx(1.0)
        assert found["training density", ae] == pytest.approx(0.5)
    assert found["next autoencoder"].to_dict() == pytest.approx({"rae": 1.0, "flux2": 1.0, "sd": 0.25})
    band = shown.figure.layout.shapes[0]
    assert band.x1 == pytest.approx(findings.noise_of_difference(rows)) == pytest.approx(0.4)
    assert "Noise that verdicts use: 40 %" in shown.alt


def test_without_two_seeds_there_is_no_band() -> None:
    shown = against_noise(study(generation_rows()))
    assert not shown.figure.layout.shapes and "not known" in shown.alt and "two seeds" not in set(shown.rows["kind"])
    one = begun()
    single = one.generation[one.generation["sampleshift"] == 1.0]
    with pytest.raises(LrcoreError, match="nothing to compare yet"):
        against_noise(study(single))


def test_spreads_beside_published() -> None:
    shown = spreads_beside_published(study(generation_rows()), PUBLISHED)
    rows = shown.rows.set_index(["parameter", "ae"])
    assert len(rows) == 12 and rows["here"]["trainshift"].to_dict() == pytest.approx(dict.fromkeys(BASE, 0.2))
    assert rows["published"]["trainshift"]["flux1"] == pytest.approx(0.8642)
    assert "train shift, FLUX.1: 86 % and 20 %" in shown.alt
    partly = spreads_beside_published(begun(), PUBLISHED).rows.set_index(["parameter", "ae"])["here"]
    assert partly["sampleshift"]["sd"] == pytest.approx(1.0) and partly.drop(("sampleshift", "sd")).isna().all()
    with pytest.raises(LrcoreError, match="no published relative spread"):
        spreads_beside_published(begun(), PUBLISHED.head(0))
