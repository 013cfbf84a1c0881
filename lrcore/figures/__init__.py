"""Figures, tables and sentences of the site: each function takes rows and returns what a page shows.

May import: `results` and what that may, `datasets`. Start with `site_figure` and `site_table`, which put them on a
page, and `style`.
"""
