"""The gate: requests for inference, routed by the records, and answered in the caller's dialect."""
