"""What is measured: distances between sets of images (`frechet`, `kernel`, `manifold`, the last two from the same
products in `pairs`) in the `features` of a network, between images and what is decoded of them (`reconstruction`), and
of latents (`latents` and the modules that it names).

`reference_files`, `npz_arrays`, `image_arrays` and `shipped` are the files that statistics and images come from;
`sources`, `sides`, `comparison` and `report` are the command, `python -m lrcore.metrics`. May import: `autoencoders`
and what that may, `records`. Start with `features` and `frechet`.
"""
