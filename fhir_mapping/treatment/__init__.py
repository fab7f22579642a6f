"""A treatment session: written as FHIR, and read from whatever FHIR says of it."""
