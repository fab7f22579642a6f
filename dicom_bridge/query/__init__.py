"""The index of DICOM attributes, without pydicom: QIDO-RS, metadata and Orthanc's own lists answer from it."""
