"""Real engines with tiny models made here, behind a real gateway (in .venv-models)."""
