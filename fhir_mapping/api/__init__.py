"""FHIR R4 over HTTP: ``fhir_mapping.api.routes.routes(node)`` is mounted at ``/fhir``."""
