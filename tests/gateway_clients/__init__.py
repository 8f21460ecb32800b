"""The official clients of the dialects (in .venv-gateway): before our translation, and at a gateway."""
