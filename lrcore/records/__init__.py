"""The rows under `data/`: what a row is (`schema`), where it lies (`paths`), writing and reading it, and files of the
schema before (`python -m lrcore.records.migration`).

May import: `runtime`, `lrcore.command_line`. Start with `schema`.
"""
