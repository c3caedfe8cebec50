"""What is left of settings that cannot be used: for who must go on all the same, and say what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelhub.configuration.environment import PLACE
from modelhub.configuration.problems import SettingsInvalid
from modelhub.configuration.reading import settings_file
from modelhub.configuration.settings import Settings, read_settings
from modelhub.errors import ConfigurationError

__all__ = ["Salvaged", "salvaged"]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """Settings as far as they can be used.

    Attributes:
        settings: What can be used.
        file: The file that was named or found, whether it can be used or not.
        left_out: Whether the file was left out.
        environ: The variables that can be used.
        failure: Why not all of it can be used.
    """

    settings: Settings
    file: Path | None
    left_out: bool
    environ: Mapping[str, str]
    failure: ConfigurationError | None


def salvaged(config: Path | None, environ: Mapping[str, str]) -> Salvaged:
    """Read the settings, without the file and the variables that something is wrong with. Blocks.

    Args:
        config: The file that is named; else it is the one that is in use.
        environ: The environment.
    """
    file = settings_file(config, environ)
    try:
        return Salvaged(read_settings(config, environ), file, left_out=False, environ=environ, failure=None)
    except ConfigurationError as error:
        failure = error
    problems = failure.problems if isinstance(failure, SettingsInvalid) else ()
    wrong = {problem.path for problem in problems if problem.file == PLACE}
    left_out = file is not None and (not problems or any(problem.file != PLACE for problem in problems))
    none = {name: value for name, value in environ.items() if not name.startswith("MODELHUB_")}
    for variables in ({name: value for name, value in environ.items() if name not in wrong}, none):
        try:
            settings = read_settings({} if left_out else file, variables)
        except ConfigurationError:
            continue  # what they say together is wrong
        return Salvaged(settings, file, left_out=left_out, environ=variables, failure=failure)
    return Salvaged(read_settings({}, {}), file, left_out=file is not None, environ=none, failure=failure)
