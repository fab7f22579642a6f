"""The record: what was received, what is served, and what is read of it."""
