"""The kernel that runs the cells of the pages, started as Quarto starts it, with what `_environment` sets."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_client.manager import start_new_kernel
from site_preview.settings import read_project

PROJECT = Path(__file__).parents[2]


def test_it_starts_without_a_word(tmp_path: Path) -> None:
    """A warning of its own would end a render in which warnings are errors."""
    said = tmp_path / "stderr.txt"
    environment = {**os.environ, **read_project(PROJECT).environment}
    assert environment["IPYTHONDIR"] == "site/ipython"
    with said.open("w") as stderr:
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(PROJECT), env=environment, stderr=stderr)
    try:
        answer = client.execute_interactive("import os; os.getcwd()", silent=False, output_hook=lambda message: None)
        assert answer["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert said.read_text() == ""
