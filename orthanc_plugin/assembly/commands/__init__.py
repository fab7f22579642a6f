"""One module for each command of ``photospine``; each offers ``register(app)``."""
