"""Where plugins keep what can be fetched again, by each system's own custom."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modelhub.errors import ConfigurationError

__all__ = ["user_cache_dir"]


def user_cache_dir() -> Path:
    """Return the folder for what can be fetched again, by each system's own custom.

    Raises:
        ConfigurationError: The user has no home folder.
    """
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
            return base / "modelhub" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "modelhub"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelhub"
    except RuntimeError:
        pass
    message = "there is no home folder to keep what plugins fetch in"
    raise ConfigurationError(message, remedy="set HOME, or give the hub a cache_dir")
