"""The schema on disk: keys, versions, several writers, and what plain pandas sees."""

import dataclasses
import math
from concurrent.futures import ProcessPoolExecutor

import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from lrcore.errors import LrcoreError
from lrcore.records import reading
from lrcore.records.paths import latents_folder
from lrcore.records.reading import read_generation, read_latents, read_reconstruction
from lrcore.records.schema import (
    SCHEMA_VERSION,
    GenerationRow,
    LatentRow,
    ReconstructionRow,
    arrow_schema,
    distance_label,
)
from lrcore.records.writing import write_generation, write_latents, write_reconstruction


def row(kind=GenerationRow, **changes):
    defaults = {"int": 1, "float": 1.0, "str": "x"}
    values = {f.name: defaults[f.type] for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
    return kind(**{**values, **changes})


def test_a_row_of_the_same_key_is_replaced_and_order_does_not_matter(tmp_path):
    one, two, better = row(step=1), row(step=2, fid=math.nan), row(step=1, fid=0.5)
    write_generation(tmp_path / "a", "smoke", "run", [one, two])
    write_generation(tmp_path / "a", "smoke", "run", [better])
    write_generation(tmp_path / "b", "smoke", "run", [two])
    write_generation(tmp_path / "b", "smoke", "run", [better])
    rows = read_generation(tmp_path / "a")
    assert rows.step.tolist() == [1, 2]
    assert rows.fid[0] == 0.5
    assert math.isnan(rows.fid[1])
    a, b = (tmp_path / name / "generation" / "study=smoke" / "run.parquet" for name in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_rows_of_another_recipe_leave_the_file(tmp_path):
    write_generation(tmp_path, "smoke", "run", [row(step=1), row(step=2)])
    write_generation(tmp_path, "smoke", "run", [row(step=2, recipe="changed")])
    assert read_generation(tmp_path).step.tolist() == [2]


@pytest.fixture
def files_read(monkeypatch):
    """Names of the files that are read, as they are; files are settled as soon as they are written."""
    found, read = [], reading.read_rows

    def counted(path, kind):
        found.append(path.name)
        return read(path, kind)

    monkeypatch.setattr(reading, "read_rows", counted)
    monkeypatch.setattr(reading, "SETTLED", -60.0)
    return found


def test_a_file_is_read_once_and_again_when_it_is_another(tmp_path, files_read):
    for run in "abc":
        write_generation(tmp_path, "smoke", run, [row(ae=run)])
    first = read_generation(tmp_path)
    assert files_read == ["a.parquet", "b.parquet", "c.parquet"]
    first["fid"] = math.nan  # whoever has a frame may change it
    assert read_generation(tmp_path).fid.tolist() == [1.0] * 3 and len(files_read) == 3
    write_generation(tmp_path, "smoke", "b", [row(ae="b", step=2)])
    assert read_generation(tmp_path).step.tolist() == [1, 1, 2, 1]
    assert files_read[3:] == ["b.parquet"]
    (tmp_path / "generation" / "study=smoke" / "a.parquet").unlink()
    assert read_generation(tmp_path).ae.tolist() == ["b", "b", "c"] and len(files_read) == 4


def test_a_file_that_is_damaged_after_it_was_read_is_named(tmp_path, files_read):
    write_generation(tmp_path, "smoke", "a", [row()])
    assert len(read_generation(tmp_path)) == 1
    path = tmp_path / "generation" / "study=smoke" / "a.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    for _ in range(2):
        with pytest.raises(LrcoreError, match="damaged"):
            read_generation(tmp_path)


def test_what_was_written_a_moment_ago_is_read_again(tmp_path, files_read, monkeypatch):
    """Its times may not tell it from what is written in the next moment."""
    monkeypatch.setattr(reading, "SETTLED", 3600.0)
    write_generation(tmp_path, "smoke", "a", [row()])
    read_generation(tmp_path), read_generation(tmp_path)
    assert len(files_read) == 2


def test_plain_pandas_reads_every_study(tmp_path):
    write_generation(tmp_path, "smoke", "run", [row()])
    write_generation(tmp_path, "cifar10", "run", [row(), row(ae="y")])
    write_reconstruction(tmp_path, "smoke", "sd", [row(ReconstructionRow)])
    (tmp_path / "generation" / "study=smoke" / ".run.parquet.x.tmp").write_text("what a killed writer left")
    frame = pandas.read_parquet(tmp_path / "generation")
    assert frame.study.value_counts().to_dict() == {"cifar10": 2, "smoke": 1}
    for name in ("step", "ae", "repa", "trainp", "trainshift", "sampleshift", "fid"):
        assert name in frame
    assert len(read_reconstruction(tmp_path)) == 1


def test_latent_metrics_are_kept_by_autoencoder_metric_and_index(tmp_path):
    whole = row(LatentRow, metric="effective_dimension", index=-1, x=math.nan)
    rings = [row(LatentRow, metric="spectrum_power", index=i, x=0.125 * (i + 1)) for i in range(2)]
    write_latents(tmp_path, "smoke", "sd", [whole, *rings])
    write_latents(tmp_path, "smoke", "sd", [row(LatentRow, metric="spectrum_power", index=1, x=0.25, value=0.5)])
    write_latents(tmp_path, "smoke", "other", [row(LatentRow, ae="other", metric="spectrum_power", index=1)])
    assert (latents_folder(tmp_path, "smoke") / "sd.parquet").exists()
    rows = read_latents(tmp_path).query("ae == 'x'")
    assert rows.metric.tolist() == ["effective_dimension", "spectrum_power", "spectrum_power"]
    assert rows["index"].tolist() == [-1, 0, 1]
    assert rows.value.tolist() == [1.0, 1.0, 0.5]
    assert math.isnan(rows.x.iloc[0]) and rows.x.iloc[2] == 0.25
    assert len(read_latents(tmp_path)) == len(pandas.read_parquet(tmp_path / "latents")) == 4
    assert {"study", "protocol", "schema_version"} <= set(read_latents(tmp_path / "nothing"))


def test_no_data_is_an_empty_table_with_columns(tmp_path):
    frame = read_generation(tmp_path)
    assert frame.empty
    assert {"study", "fid", "step"} <= set(frame)


def write_step(arguments):
    folder, step = arguments
    write_generation(folder, "smoke", "run", [row(step=step)])


def test_processes_that_write_one_file_lose_no_row(tmp_path):
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(write_step, [(tmp_path, step) for step in range(40)]))
    assert read_generation(tmp_path).step.tolist() == list(range(40))


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, None])
def test_a_file_of_another_schema_version_is_refused_by_name(tmp_path, version):
    write_generation(tmp_path, "smoke", "run", [row()])
    path = tmp_path / "generation" / "study=smoke" / "run.parquet"
    metadata = {"lrcore_schema_version": str(version)} if version else None
    pa.parquet.write_table(pa.parquet.ParquetFile(path).read().replace_schema_metadata(metadata), path)
    with pytest.raises(
        LrcoreError, match=rf"run.parquet' has schema version {version or 'unknown'}; this lrcore reads"
    ):
        read_generation(tmp_path)
    with pytest.raises(LrcoreError, match="schema version"):
        write_generation(tmp_path, "smoke", "run", [row()])


def test_a_damaged_file_is_named(tmp_path):
    write_generation(tmp_path, "smoke", "run", [row()])
    path = tmp_path / "generation" / "study=smoke" / "run.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(LrcoreError, match=r"run.parquet' is damaged.*python -m lrcore.train smoke`"):
        read_generation(tmp_path)


@pytest.mark.parametrize("name", ["Smoke", "2024", "a/b", "", ".."])
def test_a_study_name_that_is_no_partition_is_refused(name, tmp_path):
    with pytest.raises(LrcoreError, match="lower-case letters"):
        write_generation(tmp_path, name, "run", [row()])
    with pytest.raises(LrcoreError, match="lower-case letters"):
        write_latents(tmp_path, name, "sd", [row(LatentRow)])


def test_required_columns_and_types():
    schema = arrow_schema(GenerationRow)
    assert schema.field("step").type == pa.int64()
    assert schema.field("fid").type == pa.float64()
    assert {"feature_sha256", "n_samples", "n_reference", "label_rule", "uint8_rule", "sampler", "sampling_steps",
            "guidance", "sample_seed"} <= set(schema.names)  # fmt: skip


def test_only_the_2015_inception_makes_an_fid():
    assert distance_label("inception2015") == "FID"
    assert distance_label("efficientnet_lite0") == "FD (EfficientNet-Lite0)"
    assert distance_label("dinov2b") == "FD (dinov2b)"
