"""The official clients of the dialects, in their own environment (.venv-gateway): before our translation, and at a gateway."""
