"""lrcore.report_pages.learned: what stands for a G, and where it cannot be told."""

from __future__ import annotations

from types import SimpleNamespace

from figure_rows import generation_rows, study

from lrcore.report_pages import learned, verdict


def test_a_g_that_noise_divides_is_not_told() -> None:
    rows = generation_rows()
    made = study(rows.assign(gaussian_kid=rows["gaussian_kid"].mask(rows["ae"] == "rae", 1e-6)))
    table = learned.table(made, learned.shares(made))
    assert table.frame.set_index("autoencoder").loc["RAE"].tolist()[:2] == ["cannot be told", "\N{EN DASH}"]
    assert "G cannot be told of RAE: the distance of decoded Gaussian latents" in table.note
    assert verdict._share(SimpleNamespace(study=made, ae="rae")).startswith(" G cannot be told of RAE: ")
    assert "share learned is G 0.97" in verdict._share(SimpleNamespace(study=made, ae="flux2"))
    assert verdict._shares(SimpleNamespace(study=made), True).startswith(" FLUX.2 is learned best")
    lost = study(rows.assign(gaussian_kid=1e-6))
    assert verdict._shares(SimpleNamespace(study=lost), True) == ""
