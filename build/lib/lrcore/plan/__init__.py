"""What a study will cost before it is run: operations counted, a few of each timed, and the sum as a table.

May import: `stages` and what they may. Start with `report`.
"""
