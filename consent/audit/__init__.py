"""The record of every answer: chains of records, each bound to the one before it."""
