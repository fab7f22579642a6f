"""Gaps: photos that a treatment's protocol asks for, and that are not there, not in time, or not comparable."""
