"""Every shot judged: how a photo was taken, against the reference photo of the same view.

The worker does it, and nobody waits for it. What is said of a photo is an Observation whose exact shape is told in
:mod:`fhir_mapping.resources.appraisal`, which also reads it again; :mod:`dicom_bridge.judging.job` tells which photo is
held against which, and when that is done anew. numpy and OpenCV (the extra ``vision``) are imported when a photo is
judged and not before; without them every verdict says so.
"""
