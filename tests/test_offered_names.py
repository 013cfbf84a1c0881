"""What can be had from `lrcore` itself, and that importing it loads nothing else."""

import subprocess
import sys

import pytest

import lrcore


def test_every_name_can_be_had():
    assert "load_studies" in dir(lrcore)
    assert all(getattr(lrcore, name) is not None for name in lrcore.__all__)


def test_other_names_cannot():
    with pytest.raises(AttributeError, match="module 'lrcore' has no attribute 'load_study_rows'"):
        _ = lrcore.load_study_rows


def test_importing_lrcore_is_cheap():
    program = "import sys, lrcore; print(sorted({'torch', 'pandas', 'diffusers', 'timm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
