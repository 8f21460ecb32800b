"""Bytes by their sha256: staging files, a local folder or an object store, and the check of what is kept."""
