"""Tests, in the folders of what they test; `helpers` is what several of them use."""
