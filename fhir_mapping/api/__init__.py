"""FHIR R4 over HTTP: ``fhir_mapping.api.routes.routes(node)`` gives the routes under ``/fhir``."""
