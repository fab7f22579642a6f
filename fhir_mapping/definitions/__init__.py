"""What of our own a FHIR server or validator has to know: the StructureDefinitions of our extensions."""
