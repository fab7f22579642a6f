"""The clinical record: FHIR in and out, search, API and the batch advisory."""
