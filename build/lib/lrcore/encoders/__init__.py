"""Frozen vision encoders: targets of REPA and of semantic alignment, the latent space of the RAE, and feature spaces.

May import: `assets`, `runtime`. Start with `base`; `loading` makes one by its name.
"""
