"""The form of today's session: prefilled from the last one, drawn, and read back into what is written."""
