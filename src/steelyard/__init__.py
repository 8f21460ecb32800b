"""Steelyard: a self-hosted model registry with a gate."""

__version__ = "0.1.0"
