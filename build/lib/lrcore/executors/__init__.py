"""Who does the units of a study: processes on this machine (`local`), a Ray cluster (`ray`), or the processes of one
torchrun (`torchrun`); `options` chooses.

Whichever it is, a unit is done under its claim (`stages.engine.Unit`), a lock under runs/: executors, and processes
started by hand, may work on one study at the same time. May import: `stages` and what they may. Start with `local`.
"""
