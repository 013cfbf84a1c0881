"""What takes seconds to import is imported where it is used: pages need no torch, and commands no network's library."""

import subprocess
import sys

PROGRAM = """
import sys
import lrcore.figures.agreement, lrcore.figures.agreement_prose, lrcore.figures.compactness, lrcore.figures.dictionary
import lrcore.figures.tradeoff
from lrcore.results.agreement import chance
from lrcore import load_studies, read_published
chance({"sd": 1, "flux1": 2, "rae": 3}, {"sd": 1, "flux1": 2, "rae": 3})
pages = [name for name in ("torch", "scipy") if name in sys.modules]
import lrcore.train, lrcore.status, lrcore.train_autoencoder, lrcore.reconstruct, lrcore.verify
heavy = ("diffusers", "transformers", "timm", "torchvision", "torch._dynamo", "lpips", "scipy.stats", "ray")
heavy += ("torch.distributed.fsdp",)
commands = [name for name in heavy if name in sys.modules]
print(pages, commands)
"""


def test_pages_and_commands_wait_for_no_library_that_they_do_not_use():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout == "[] []\n", done.stdout + done.stderr[-2000:]
