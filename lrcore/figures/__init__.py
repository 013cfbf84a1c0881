"""Figures and tables of the site: each function takes rows of `data/` and returns what a page shows."""
