"""What a program needs to run for days and lose nothing: files that are whole or absent, locks, stopping, progress,
heartbeats, seeds, several processes as one.

May import: `lrcore.errors`. Start with `files`, `interruption` and `distributed`.
"""
