"""Data and weights from outside: where they come from (`table`), the cache that holds them (`cache`), how their files
are read (`archives`), and the networks built from them (`pretrained`).

May import: `runtime`, `lrcore.command_line`. Start with `table`; the command is `python -m lrcore.assets`.
"""
