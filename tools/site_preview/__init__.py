"""The parts of `tools/preview.py`: settings, cells, references, pages and checks, in the order they are used."""
