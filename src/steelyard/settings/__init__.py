"""Every setting of a server: one frozen tree, filled from flags, the environment, a TOML file and defaults."""

from steelyard.settings.keys import Setting, all_settings
from steelyard.settings.loading import CLIENT_VARIABLES, Resolved, load_settings, resolve_settings
from steelyard.settings.tree import LimitSettings, Settings

__all__ = [
    "CLIENT_VARIABLES",
    "LimitSettings",
    "Resolved",
    "Setting",
    "Settings",
    "all_settings",
    "load_settings",
    "resolve_settings",
]
