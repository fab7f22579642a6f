"""Photos that leave to be published: questions that are kept, their pairs, and what was exported."""
