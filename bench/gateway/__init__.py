"""The gateway benchmark: `python -m bench.gateway` from the root of the repository (../README.md says how)."""
