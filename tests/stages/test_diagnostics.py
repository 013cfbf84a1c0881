"""Stage: diagnostics. What is missing is measured, and nothing else is touched."""

import dataclasses
from pathlib import Path

import pandas
from custom_study import EXAMPLE, study_with

from lrcore import train
from lrcore.metrics.gaussian_loss import GAUSSIAN_LOSS, TIMES
from lrcore.records.paths import latents_folder
from lrcore.records.reading import read_latents
from lrcore.records.schema import LatentRow
from lrcore.records.writing import write_latents

FIELDS = [field.name for field in dataclasses.fields(LatentRow)]


def test_a_metric_that_is_younger_than_the_rows_is_added_to_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my_autoencoder.py").write_text(EXAMPLE)
    arguments = [*study_with(tmp_path, "my_autoencoder.py:Mine"), "--only", "diagnostics"]
    assert train.main(arguments) == 0
    whole = read_latents("data")
    added = whole[whole.metric == GAUSSIAN_LOSS]
    assert added["index"].tolist() == list(range(len(TIMES))) and added.x.tolist() == TIMES.tolist()
    assert set(added.split) == {"train"} and added.dataset.str.startswith("cifar10/train").all()
    assert added.protocol.str.startswith("the first 48 training images; ").all()

    predicted = ("viv", "within_class", "neighbour", "spectral_energy")
    for names in ((GAUSSIAN_LOSS,), predicted, ("ifd_great_circle",), ("channel", "effective", "spectrum", "flip")):
        younger = whole.metric.str.startswith(names)
        assert younger.any()
        older = whole[~younger].assign(lrcore_version="an older one")
        (latents_folder(Path("data"), "mine") / "mine.parquet").unlink()
        write_latents(Path("data"), "mine", "mine", [LatentRow(**row) for row in older[FIELDS].to_dict("records")])
        capsys.readouterr()
        assert train.main(arguments) == 0
        assert "nothing to do" not in capsys.readouterr().out
        again = read_latents("data")
        measured = again.metric.str.startswith(names)
        pandas.testing.assert_frame_equal(*(rows.reset_index(drop=True) for rows in (again[measured], whole[younger])))
        kept = again[~measured & (again.lrcore_version == "an older one")]
        assert len(kept) == len(older) or "effective" in names  # what is described at once is measured at once
    assert train.main(arguments) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_spectrum_of_an_older_protocol_is_measured_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my_autoencoder.py").write_text(EXAMPLE)
    arguments = [*study_with(tmp_path, "my_autoencoder.py:Mine"), "--only", "diagnostics"]
    assert train.main(arguments) == 0
    whole = read_latents("data")
    rows = whole.assign(protocol=whole.protocol.where(whole.metric != "spectrum_power", "over the token grid"))
    (latents_folder(Path("data"), "mine") / "mine.parquet").unlink()
    write_latents(Path("data"), "mine", "mine", [LatentRow(**row) for row in rows[FIELDS].to_dict("records")])
    assert train.main(arguments) == 0
    pandas.testing.assert_frame_equal(read_latents("data"), whole)
