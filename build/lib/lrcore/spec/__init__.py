"""What a study says, as typed data: data sets, autoencoders and trainings take their part of it. Nothing here computes.

May import: `lrcore.errors`. `lrcore.studies` reads it from TOML and checks it.
"""
