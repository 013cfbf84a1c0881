"""Before the pages are rendered: make the data of the smoke study if they are not there, and copy the scripts.

    python tools/prepare_site.py [--no-data]

Quarto runs it (`project: pre-render` in `_quarto.yml`), and so does `tools/preview.py`; it works on the project in
the current folder. Training runs as a program of its own, which returns at once when the study is complete.
`--no-data`, or LRCORE_NO_DATA in the environment, leaves the data as they are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

try:
    import itables
    from plotly_bundle import plotly_script

    from lrcore.errors import LrcoreError
    from lrcore.runtime.files import atomic_path
except ImportError as error:
    sys.exit(f"{error}: run this with the Python that lrcore is installed in (`make site` does)")


def make_data(project: Path) -> None:
    """Run the smoke study; its own messages say what it does, or why it cannot.

    It checks the machinery. The rows of other studies are shown without it, so that a download that fails (of a data
    set, of a network's weights) does not keep the site from being published.

    Raises:
        subprocess.CalledProcessError: it fails, and no other study has rows.
    """
    done = subprocess.run([sys.executable, "-m", "lrcore.train", "smoke"], cwd=project, check=False)
    if done.returncode == 0:
        return
    if not any(project.glob("data/generation/study=*/*.parquet")):
        raise subprocess.CalledProcessError(done.returncode, done.args)
    print("prepare_site: the site is built without the study smoke, from the rows that are there", file=sys.stderr)


def copy_vendor(project: Path) -> None:
    """Put plotly.js and the DataTables bundle of what is installed here into `site/vendor/`."""
    bundle = Path(itables.options.dt_bundle)
    folder = project / "site" / "vendor"
    scripts = {
        "plotly.min.js": plotly_script(folder / "plotly.min.js"),
        "dt_bundle.js": bundle.read_bytes(),
        "dt_bundle.css": bundle.with_suffix(".css").read_bytes(),
    }
    for name, content in scripts.items():
        target = folder / name
        if not target.exists() or target.read_bytes() != content:
            with atomic_path(target) as temporary:
                temporary.write_bytes(content)


def clear_fetched(project: Path) -> None:
    """Remove what cells of an earlier rendering left for readers to fetch."""
    for path in (project / "posts" / "fetched").glob("*.*"):
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--no-data", action="store_true", help="leave data/ and imgs/ as they are")
    options = parser.parse_args()
    project = Path.cwd()
    try:
        if not (options.no_data or os.environ.get("LRCORE_NO_DATA")):
            make_data(project)
        copy_vendor(project)
        clear_fetched(project)
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
    except LrcoreError as error:
        print(f"prepare_site: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
