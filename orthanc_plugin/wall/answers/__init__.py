"""The answers that are ours: each module has the rows that it answers."""
