"""Every shot judged: generated people with injected faults, and what becomes of a verdict."""
