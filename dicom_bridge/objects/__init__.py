"""The DICOM object of a photograph: VL Photographic Image (PS3.3 A.32.4), written and read."""
