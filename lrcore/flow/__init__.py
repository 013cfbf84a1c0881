"""Flow matching on latent spaces: times of training and of sampling (`timesteps`), the loss (`objective`), the model
(`transformer`, `public_checkpoints`), and the way from noise to a sample (`sampling`, `samplers`, `guidance`,
`path_shape`). `stacking` trains several models as one, `linear` multiplies by the library
that is fastest, `compute` counts their operations.

May import: `runtime`. Start with `timesteps`, then `objective` and `sampling`.
"""
