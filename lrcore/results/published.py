"""The published study that this project re-does; its figures stand in the atlas (`records.reading.read_published`)."""

FOLLOWED = "bfl2025representation"
"""As `source` names it."""

UNTUNED = {"trainp": "ts", "trainshift": 1.0, "sampleshift": 1.0}
"""Timesteps drawn and sampled evenly."""

RAES_OWN = {"trainp": "ts", "trainshift": 6.93, "sampleshift": 6.93}
"""What RAE's authors train and sample with, in the convention of this project (Zheng et al. 2025): sqrt(768 / 16)."""
