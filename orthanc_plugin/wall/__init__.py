"""The wall inside Orthanc: nothing leaves but what a row of the route table names and the decision permits.

Imports ``consent`` and ``dicom_bridge.query`` alone, so that a fault in decoding a photo or reading FHIR can never
take enforcement down.
"""
