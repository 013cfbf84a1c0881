"""Autoencoders behind one interface: images to normalised tokens and back. See `base.Autoencoder`."""
