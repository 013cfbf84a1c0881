"""The photographs of `imgs/photographs`: what TAEF2 makes of scikit-image's own sample pictures at 256 px.

    python tools/draw_photographs.py

scikit-image ships them in its package: `astronaut` (NASA, in the public domain), `chelsea` (Stéfan van der Walt),
`coffee` (Rachel Michetti) and `rocket` (SpaceX), these three released as CC0. Cropped and resized as the images of a
study are. The weights of TAEF2 are fetched where the cache lacks them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from skimage import data

from lrcore.autoencoders import taef2
from lrcore.datasets.decoding import centre_crop
from lrcore.datasets.images import save_png
from lrcore.stages.reconstruction import reconstructed

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
SIZE = 256
FOLDER = Path(__file__).parents[1] / "imgs" / "photographs"


def pixels(name: str) -> torch.Tensor:
    """A photograph of scikit-image as uint8 (3, SIZE, SIZE)."""
    image = centre_crop(Image.fromarray(getattr(data, name)()), SIZE)
    return torch.from_numpy(numpy.array(image)).permute(2, 0, 1)


def main(folder: Path = FOLDER) -> int:
    """Write originals and reconstructions."""
    originals = torch.stack([pixels(name) for name in PHOTOGRAPHS])
    as_they_come = torch.tensor([0.0, 1.0])
    autoencoder = taef2.Taef2Autoencoder(*taef2.load_networks(), SIZE, SIZE, as_they_come)
    for name, images in ("orig", originals), ("taef2", reconstructed(autoencoder, originals)):
        for number, image in enumerate(images):
            save_png(folder / f"{name}-{number:02d}.png", image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
