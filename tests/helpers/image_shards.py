"""Small shards of flat images, with labels of one's choice."""

import io
import tarfile

import pyarrow
import pyarrow.parquet
from PIL import Image

from lrcore.spec.study import Data


def encoded(number: int, ending: str = "png") -> bytes:
    """A flat image whose value is the number, so that it can be told which is which."""
    held = io.BytesIO()
    Image.new("RGB", (8, 8), (number, number, number)).save(held, "JPEG" if ending == "jpg" else ending)
    return held.getvalue()


def parquet(path, labels, column=None):
    images = [{"bytes": encoded(number)} for number in range(len(labels))]
    pyarrow.parquet.write_table(pyarrow.table({"image": images, "label": pyarrow.array(labels, column)}), path)


def tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


def samples(labels):
    """Members of one sample for each label, as text."""
    both = ((f"{n:03}.png", encoded(n), f"{n:03}.cls", label.encode()) for n, label in enumerate(labels))
    return dict(pair for image, pixels, name, label in both for pair in ((image, pixels), (name, label)))


def shards(folder, kind, train, validation, **how):
    """A study's [data] of shards with these labels."""
    for name, labels in (("train", train), ("val", validation)):
        if kind == "parquet":
            parquet(folder / f"{name}.parquet", labels, **how)
        else:
            tar(folder / f"{name}.tar", samples([str(label) for label in labels]))
    ending = "parquet" if kind == "parquet" else "tar"
    paths = {"path": str(folder / f"train.{ending}"), "validation_path": str(folder / f"val.{ending}")}
    return Data(kind, 8, len(train), len(validation), **paths)
