"""What is measured: distances between sets of images (`frechet`, `kernel`, `manifold`), between pairs
(`reconstruction`), and of latents (`latents`). The modules from `sources` to `report` are the command, `python -m
lrcore.metrics`.

May import: `autoencoders` and what that may, `records`. Start with `features` and `frechet`.
"""
