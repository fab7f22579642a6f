"""Measurements and full-count runs. ``make bench`` and ``make test-full`` start here."""
