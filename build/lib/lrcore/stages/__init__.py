"""The stages of a study, in order: features, autoencoder, reconstruction, diagnostics, latents, anchors, training (of
the transformers), generation, choice, samples.

Each is a function that makes what is missing, keeps it under `runs/` or `data/`, and returns it; called again it only
reads. `engine` divides a study into units and does what is left. May import: `studies`, `training` and what those may;
never `results`. Start with `workspace`, what stages share, and `engine`.
"""
