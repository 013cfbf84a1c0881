"""lrcore: how learnable, how faithful and how compact is the latent space of an image autoencoder?

Start with `python -m lrcore.train`; the README names every other door.
"""

__version__ = "0.1.0"
