"""Protocols: which photos a treatment of an area needs, how each is taken, and when. Versioned data."""
