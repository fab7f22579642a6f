"""The photograph: from a file to a DICOM object, and every answer about DICOM objects."""
