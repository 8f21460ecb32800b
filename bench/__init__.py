"""The registry benchmark: `python -m bench.registry` from the root of the repository (README.md here)."""
