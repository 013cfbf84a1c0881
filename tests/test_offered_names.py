"""What can be had from `lrcore` itself, and that importing it loads nothing else."""

import os
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


def test_threads_sleep_while_they_wait_unless_somebody_says_otherwise():
    """What OpenMP reads when torch is loaded."""
    program = "import os, lrcore; print(os.environ['OMP_WAIT_POLICY'])"
    without = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for environment, policy in ((without, "PASSIVE"), ({**without, "OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert done.stdout == f"{policy}\n"
