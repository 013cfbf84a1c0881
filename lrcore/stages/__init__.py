"""The stages of a study, in order: features, autoencoder, reconstruction, diagnostics, latents, training (of the
transformers), generation, confirmation, samples.

Each is a function that makes what is missing, keeps it under `runs/` or `data/`, and returns it;
called again it only reads.
"""
