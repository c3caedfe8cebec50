"""Checks a plugin's files and reports every defect with file, line and remedy, for ``modelhub lint`` and for tests."""

from modelhub.manifest.lint.codes import CODES, Defect, Severity
from modelhub.manifest.lint.running import lint

__all__ = ["CODES", "Defect", "Severity", "lint"]
