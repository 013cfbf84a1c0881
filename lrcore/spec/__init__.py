"""What a study says, as typed data. Everything below the stages takes its part of it; nothing here computes.

May import: `lrcore.errors`. Start with `study`; `lrcore.studies` reads it from TOML.
"""
