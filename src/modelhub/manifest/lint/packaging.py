"""A plugin's ``pyproject.toml``: that it registers its providers, and that their YAML comes into the wheel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.layout import YAML, Package, Project, files_below, line_of

__all__ = ["packaging"]


def packaging(project: Project, packages: Sequence[Package]) -> Iterator[Defect]:
    """Yield what keeps an installed plugin from being found, or from having its files.

    Args:
        project: The project.
        packages: The providers in it.
    """
    shown = project.file.as_posix()
    if project.problem is not None:
        line, problem = project.problem
        yield defect(shown, line, "unreadable", problem, "mend the line")
        return
    own = [package for package in packages if not package.dify]
    if own and not project.entries:
        message = "it registers no provider, so that nobody finds it once it is installed"
        remedy = 'add [project.entry-points."modelhub.providers"] with <id> = "package.module:Class"'
        yield defect(shown, 1, "entry-point", message, remedy)
    if _by_setuptools(project.settings):
        for package in own:
            yield from _package_data(project, package)


def _by_setuptools(settings: Mapping[str, Any]) -> bool:
    build = settings.get("build-system", {})
    if not isinstance(build, Mapping):
        return False
    backend = build.get("build-backend", "setuptools.build_meta")  # the default, by PEP 517
    requires = build.get("requires", [])
    scm = isinstance(requires, list) and any(re.match("setuptools[-_]scm", str(each)) for each in requires)
    return str(backend).startswith("setuptools") and not scm


def _package_data(project: Project, package: Package) -> Iterator[Defect]:
    files = [*files_below(package.folder, YAML), *sorted((package.folder / "_assets").glob("*"))]
    patterns = _patterns(project.settings, package.folder.name)
    listed = _listed(project)
    left_out = [path for path in files if not _taken(path, package, project, patterns, listed)]
    if left_out:
        text = project.file.read_text("utf-8", "replace")
        line = line_of(text, r"^\[tool\.setuptools") if "tool.setuptools" in text else line_of(text, r"^\[build-system")
        first = left_out[0].relative_to(package.folder.parent).as_posix()
        more = f" and {len(left_out) - 1} more files" if len(left_out) > 1 else ""
        message = f"setuptools leaves {first}{more} out of the wheel"
        data = '["*.yaml", "models/**/*.yaml", "_assets/*"]'
        remedy = f"add [tool.setuptools.package-data] with {package.folder.name} = {data}"
        yield defect(project.file.as_posix(), line, "package-data", message, remedy)


def _patterns(settings: Mapping[str, Any], package: str) -> Mapping[str, Sequence[str]]:
    """Return the patterns of files in the wheel: for the package, and for every package."""
    tool = settings.get("tool", {})
    table = tool.get("setuptools", {}) if isinstance(tool, Mapping) else {}
    data = table.get("package-data", {}) if isinstance(table, Mapping) else {}
    found = {name: data.get(name, []) if isinstance(data, Mapping) else [] for name in (package, "*", "")}
    return {name: [str(each) for each in given] if isinstance(given, list) else [] for name, given in found.items()}


def _listed(project: Project) -> Sequence[str]:
    """Return the patterns that ``MANIFEST.in`` takes in, which setuptools follows unless it is told not to."""
    tool = project.settings.get("tool", {})
    table = tool.get("setuptools", {}) if isinstance(tool, Mapping) else {}
    path = project.folder / "MANIFEST.in"
    if (isinstance(table, Mapping) and table.get("include-package-data") is False) or not path.is_file():
        return ()
    found: list[str] = []
    for line in path.read_text("utf-8", "replace").splitlines():
        match line.split():
            case ["graft", *folders]:
                found += [f"{folder.rstrip('/')}/*" for folder in folders]
            case ["include", *patterns]:
                found += patterns
            case ["global-include", *patterns]:
                found += [f"*{pattern}" for pattern in patterns]
            case ["recursive-include", folder, *patterns]:
                found += [f"{folder.rstrip('/')}/{pattern}" for pattern in patterns]
                found += [f"{folder.rstrip('/')}/*/{pattern}" for pattern in patterns]
    return found


def _taken(
    path: Path, package: Package, project: Project, patterns: Mapping[str, Sequence[str]], listed: Sequence[str]
) -> bool:
    inside = path.relative_to(package.folder).as_posix()
    own = patterns[package.folder.name]
    if any(_matches(inside, pattern) for pattern in own):
        return True
    # Folders without __init__.py are packages of their own to setuptools, so what all packages take, they take.
    if any(_matches(path.name, pattern) or _matches(inside, pattern) for pattern in (*patterns["*"], *patterns[""])):
        return True
    whole = path.relative_to(project.folder).as_posix()
    return any(fnmatch(whole, pattern) for pattern in listed)


def _matches(path: str, pattern: str) -> bool:
    """Return whether a path matches a pattern, whose ``*`` keeps to one folder and whose ``**`` does not."""
    parts = [
        "(?:[^/]+/)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "/"
        for part in pattern.split("/")
    ]
    return re.fullmatch("".join(parts).removesuffix("/"), path) is not None
