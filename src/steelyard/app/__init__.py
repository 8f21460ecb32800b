"""Builds the server from its settings, and runs it."""

from steelyard.app.server import serve

__all__ = ["serve"]
