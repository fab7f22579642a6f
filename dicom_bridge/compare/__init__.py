"""Photos as people look at them: renditions, and pairs of photos."""
