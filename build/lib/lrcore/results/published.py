"""The published study that this project re-does; its figures stand in the atlas (`records.reading.read_published`)."""

FOLLOWED = "bfl2025representation"
"""As `source` names it."""
