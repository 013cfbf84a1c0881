"""The studies as TOML files, and how one is read and checked. `smoke.toml` explains every key.

May import: all folders down from `metrics`. Start with `loading`.
"""
