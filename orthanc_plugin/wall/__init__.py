"""The wall inside Orthanc: nothing leaves through HTTP that was not decided and recorded first."""
