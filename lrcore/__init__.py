"""lrcore: how learnable, how faithful and how compact is the latent space of an image autoencoder?

Start with `python -m lrcore.train`; the README names every other door.
"""

import os

__version__ = "0.1.0"

# Read once, when torch loads OpenMP. By default its idle threads spin, and two programs that share the cores of a
# machine then slow each other down several times over; sleeping threads do not.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
