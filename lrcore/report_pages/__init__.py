"""One study, or one autoencoder of it, as a single HTML file that can be sent, and the same numbers as JSON.

May import: all but `executors`, `plan` and commands. Start with `report.make`: `subject` says what the report is of,
`sections` holds its parts, `page` and `record` write them.
"""
