"""What a wheel has beside what `pyproject.toml` says: the files of the project that reports are made with."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED = (
    *("site/style.css", "site/figures.js", "site/comparison.js", "posts/references.bib"),
    "data/atlas/*.parquet",
)
"""Found by `lrcore.report_pages.shared`; in a checkout they are read where they lie."""


class Build(build_py):
    """Copies them into the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for path in (path for pattern in SHARED for path in sorted(Path().glob(pattern))):
            target = Path(self.build_lib) / "lrcore" / "report_pages" / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


setup(cmdclass={"build_py": Build})
