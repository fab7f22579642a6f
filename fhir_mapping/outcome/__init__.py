"""Outcomes: how an area has changed, by whose judgement, seen on which two photos."""
