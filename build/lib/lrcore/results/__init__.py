"""From rows to findings: the rows of a study that may be compared, what they show, and what they say of published
claims.

May import: `records`, `spec`, `flow`, `metrics`, `runtime`; never `figures`. Start with `study_rows`, then `findings`
and `claims`.
"""
