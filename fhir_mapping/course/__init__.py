"""A course of sessions: its plan, what comes next, and what was looked at when that was decided."""
