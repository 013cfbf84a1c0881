"""Begin with your own autoencoder: a file with its class, and a study, both to be filled in.

    python -m lrcore.new mine                                # writes mine.py and mine.toml
    python -m lrcore.new mine --file my_package/vae.py:Vae   # writes mine.toml alone, for a class that there is

Both pass `python -m lrcore.check mine.toml` as they are written. Nothing is ever overwritten.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lrcore.command_line import Parser, run_command
from lrcore.errors import LrcoreError, naming, shown, unknown
from lrcore.runtime.files import atomic_path
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import RESERVED
from lrcore.studies.loading import study_names
from lrcore.studies.own_files import names_in

LONGEST = 40
"""Characters of a name: those of an autoencoder in a study."""

CLASS = '''"""NAME: an autoencoder for lrcore. As written it cuts images into patches and puts them back: fill in yours.

    python -m lrcore.check TOML       # whether it keeps to the interface, what its latents are like, what comes next
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from lrcore.autoencoders.base import Autoencoder, LatentShape, token_grid
from lrcore.autoencoders.patches import from_tokens, to_tokens

WEIGHTS = ""  # your file of weights, beside this one: "weights.safetensors", or .pt, .pth, .ckpt; "" loads none
DOWNSAMPLING = 4  # pixels of the image that a pixel of the latent spans in each direction
CHANNELS = 48  # of the latent
PATCH = 1  # latent pixels that a token spans in each direction; 2: a quarter of the tokens, four times the channels


class CLASSNAME(Autoencoder):
    def __init__(self, resolution):
        """`resolution`: of the study's images, in pixels a side."""
        super().__init__()
        # Your networks: these two stand in for them, and lose nothing.
        self.encoder = nn.PixelUnshuffle(DOWNSAMPLING)
        self.decoder = nn.PixelShuffle(DOWNSAMPLING)
        if WEIGHTS:
            # names in the file must be those of this class: "encoder.conv_in.weight", ...
            self.load_state_dict(stored(Path(__file__).with_name(WEIGHTS)))
        grid = token_grid(resolution, DOWNSAMPLING, PATCH)
        self.shape = LatentShape(resolution, grid, CHANNELS * PATCH**2, PATCH)

    def encode_batch(self, images):
        """Images (B, 3, H, W), float32 in [-1, 1], to tokens (B, tokens, channels)."""
        # a network for images in [0, 1] takes (images + 1) / 2; of a posterior take the mode, never a sample
        latent = self.encoder(images)  # (B, CHANNELS, H / DOWNSAMPLING, W / DOWNSAMPLING)
        return to_tokens(latent, PATCH)

    def decode_batch(self, tokens):
        """The way back: tokens (B, tokens, channels) to images (B, 3, H, W) in [-1, 1]."""
        # of a network whose images are in [0, 1] return 2 * images - 1
        return self.decoder(from_tokens(tokens, PATCH, self.shape.grid))


def stored(path):
    """The weights in a file; of a training's checkpoint, those under "state_dict" or "model"."""
    if path.suffix == ".safetensors":
        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    return found.get("state_dict", found.get("model", found))
'''

STUDY = """# NAME: how faithful, compact and learnable is this autoencoder?
#
#     python -m lrcore.check TOML                    # 30 seconds, nothing is trained
#     python -m lrcore.reconstruct TOML --ae NAME    # PSNR, SSIM, LPIPS, Frechet distance
#     python -m lrcore.train TOML                    # the latents, then transformers trained in them
#     python -m lrcore.train TOML --compare-with cifar10-cpu    # instead at that study's protocol, beside its rows

extends = "smoke"         # a check of the machinery, each model trained for seconds; "cifar10-cpu" takes hours on two
                          # cores and can be compared with its thirteen latent spaces
summary = "My own autoencoder, NAME."

# [data]                  # your own images instead of CIFAR-10: a folder with a sub-folder for each class
# dataset = "folder"
# path = "photos"
# resolution = 64
# train_images = 5000
# validation_images = 500

[autoencoders.NAME]
family = FAMILY           # the class; beside this file
normalise = "channel"     # latents by mean and deviation of each channel, measured once on training images

[[grid]]                  # transformers to train: every combination of the lists
ae = ["NAME"]
trainp = ["ln"]           # density of training times: "ln", "pln", "ts"
trainshift = [1.00]       # its shift; more of them find the best
repa = ["none"]
"""


def parser() -> Parser:
    """The command line."""
    line = Parser(
        prog="python -m lrcore.new", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("name", help="of the autoencoder and of its study: lower-case letters, digits and '-'")
    line.add_argument("--file", metavar="FILE.py:CLASS", help="a class that there is: only the study is written")
    line.set_defaults(budget=None)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    name = options.name
    _check_name(name, own_file=options.file is None)
    made = _written(name, options.file)
    for path in made:
        if path.exists() or path.is_symlink():
            raise LrcoreError(
                f"'{path}' is there already, and nothing is overwritten: choose another name, or remove it"
            )
    with contextlib.ExitStack() as whole:  # both or none: names are given once all texts are on the disk
        for path, text in made.items():
            whole.enter_context(atomic_path(path)).write_text(text)
    print("\n".join(f"wrote {path}" for path in made))
    if options.file is None:
        print(f"next  fill in {name}.py: networks, weights, shape; it passes the check as it is, too")
    print(f"next  python -m lrcore.check {name}.toml")
    return 0


def _written(name: str, given: str | None) -> dict[Path, str]:
    """What is to be written, by path."""
    title = "".join(part.capitalize() for part in name.split("-"))
    family = f"{name}.py:{title}" if given is None else given
    if given is not None:
        file, _, attribute = given.rpartition(":")
        if not file.endswith(".py") or not attribute.isidentifier():
            raise LrcoreError(f"--file must be FILE.py:CLASS, got {shown(given)}")
        if not Path(file).is_file():
            raise LrcoreError(f"--file: {shown(file)} does not exist")
        names = names_in(Path(file))
        if names is not None and attribute not in names:
            with naming("--file"):
                raise unknown(f"name in {file}", attribute, names)
    study = (
        STUDY.replace("NAME", name)
        .replace("TOML", f"{name}.toml")
        .replace("FAMILY", json.dumps(family, ensure_ascii=False))
    )
    made = {Path(f"{name}.toml"): study}
    if given is None:
        text = CLASS.replace("CLASSNAME", title).replace("NAME", name, 1).replace("TOML", f"{name}.toml")
        made = {Path(f"{name}.py"): text, **made}
    return made


def _check_name(name: str, own_file: bool) -> None:
    """Refuse what can be no name of a study and an autoencoder, or would stand in the way of something else."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in RESERVED or len(name) > LONGEST:
        raise LrcoreError(
            f"name {shown(name)} must be lower-case letters, digits and '-', a letter first, at most {LONGEST} of "
            f"them, and not {' or '.join(map(repr, RESERVED))}"
        )
    if name in study_names():
        raise LrcoreError(f"name '{name}' is that of a study of lrcore's, whose rows it would mix with: choose another")
    # a module of this folder comes before installed ones in whatever is started here
    if own_file and (name in sys.stdlib_module_names or _is_installed(name)):
        raise LrcoreError(f"name '{name}' is that of a Python module, which {name}.py would hide: choose another")


def _is_installed(name: str) -> bool:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and not Path(str(found.origin)).parent.samefile(Path.cwd())


if __name__ == "__main__":
    sys.exit(main())
