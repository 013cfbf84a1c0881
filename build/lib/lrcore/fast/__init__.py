"""The fast path of a GPU: a training step over static buffers (`training`) and samples of several trainings and
sampling shifts at once (`sampling`), both with weights laid out for one product a layer (`joined`).

`capabilities` says which parts a device may use: those that passed the self-check there, which
`benchmarks/gpu_selfcheck.py` runs. Without its record everything goes the slow way, which the fast one is tested
against. What only a GPU can run stands in `cuda`.

May import: `training`, `flow`, `assets`, `runtime`. Start with `sampling`.
"""
