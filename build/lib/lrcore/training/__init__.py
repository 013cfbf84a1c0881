"""The training loop that all models share, its checkpoints, and its losses by training time.

May import: `flow`, `records`, `spec`, `runtime`. Start with `loop`.
"""
