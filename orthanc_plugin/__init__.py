"""The wall inside Orthanc, the workspace people look at, and the place where everything is put together."""
