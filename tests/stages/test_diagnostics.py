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

    older = whole[whole.metric != GAUSSIAN_LOSS].assign(lrcore_version="an older one")
    (latents_folder(Path("data"), "mine") / "mine.parquet").unlink()
    write_latents(Path("data"), "mine", "mine", [LatentRow(**row) for row in older[FIELDS].to_dict("records")])
    capsys.readouterr()
    assert train.main(arguments) == 0
    assert "nothing to do" not in capsys.readouterr().out
    again = read_latents("data")
    pandas.testing.assert_frame_equal(again[again.metric == GAUSSIAN_LOSS], added)
    pandas.testing.assert_frame_equal(
        again[again.metric != GAUSSIAN_LOSS].reset_index(drop=True), older.reset_index(drop=True)
    )
    assert train.main(arguments) == 0
    assert "nothing to do" in capsys.readouterr().out
