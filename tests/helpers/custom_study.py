"""A study of an autoencoder of one's own: the example of the docs."""

import inspect
import re
import textwrap
from pathlib import Path

from lrcore.autoencoders import custom

TINY = Path(__file__).parents[1] / "tiny.toml"

# the example as it is printed, so that it cannot go stale
EXAMPLE = textwrap.dedent(
    re.search(r"    # my_autoencoder.py\n(.*?)\n\nA study takes", inspect.getdoc(custom), re.DOTALL)[1]
)


def study_with(folder, family):
    (folder / "tiny.toml").write_text(TINY.read_text())
    (folder / "mine.toml").write_text(
        f"""
        extends = "tiny.toml"
        [training]
        evaluate_at = [3]
        [autoencoders.mine]
        family = "{family}"
        [[grid]]
        ae = ["mine"]
        trainp = ["ln"]
        trainshift = [1.0]
        repa = ["none"]
        """
    )
    return ["mine.toml", *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs"))]
