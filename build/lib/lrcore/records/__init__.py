"""The rows under `data/`: what a row is (`schema`), where it lies (`paths`), writing and reading it, what tells
whether a file is whole (`digests`), and files of the version before (`python -m lrcore.records.migration`).

May import: `runtime`, `lrcore.command_line`. Start with `schema`.
"""
