"""Autoencoders behind one interface, images to normalised tokens and back, and what the trained ones are trained with.

May import: `datasets`, `encoders`, `flow`, `assets`, `spec`, `runtime`. Start with `base.Autoencoder`; `custom` takes
your own.
"""
