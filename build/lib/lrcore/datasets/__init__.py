"""Images: where they come from, how they are cropped, and how they are read when there are too many for memory.

May import: `assets`, `spec`, `runtime`. Start with `loading`, which says what `[data] dataset` may be.
"""
