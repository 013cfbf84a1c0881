"""The one error of the preview: it names the page and the thing."""

from __future__ import annotations


class PreviewError(Exception):
    """A page or a setting cannot be shown; the message names it."""
