"""One question about photos, behind gallery, FHIR operation, advisory and command line."""
