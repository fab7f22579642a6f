"""The DIMSE gateway: the only door by which DICOM's own network protocol reaches the archive (PS3.4, PS3.7, PS3.8)."""
