"""Reads ``provider.yaml`` and model YAML from where a distribution was installed, without importing its code.

Only the top-level package is looked up (``importlib.util.find_spec`` imports nothing then), which finds wheels and
editable installs alike. Unknown keys are reported as notices, so that a misspelt one is seen.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelhub.errors import PluginError
from modelhub.hookspecs import CONTRACT
from modelhub.manifest.contract import AUTHOR_MENDS, check_contract
from modelhub.manifest.merging import merged
from modelhub.manifest.shapes import schema_from
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["Manifest", "manifest_folder", "read_manifest", "read_models"]

MANIFEST = "provider.yaml"
_FOLDERS: Mapping[ModelType, Sequence[str]] = {kind: (kind.value, kind.value.replace("-", "_")) for kind in ModelType}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was read.

    Attributes:
        schema: What it says.
        folder: Where it lies, for the model YAML beside it.
        source: The mapping that it was read from, for family rows.
        notices: Keys that were not understood.
    """

    schema: ProviderSchema
    folder: Path | None
    source: Mapping[str, Any]
    notices: tuple[str, ...] = ()


def manifest_folder(module: str) -> Path:
    """Return the folder of a module's top-level package, which is not imported.

    Raises:
        PluginError: There is no such package.
    """
    package = module.partition(".")[0]
    script = getattr(sys.modules.get(package), "__file__", None) if package == "__main__" else None
    if script is not None:
        return Path(script).parent
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise PluginError(f"package {package!r} cannot be found: {error}", remedy=AUTHOR_MENDS) from error
    if spec is None:
        raise PluginError(f"package {package!r} is not installed", remedy="reinstall the plugin's distribution")
    if spec.submodule_search_locations:
        # A namespace package has several folders, of several distributions.
        folders = [Path(location) for location in spec.submodule_search_locations]
        return next((folder for folder in folders if (folder / MANIFEST).is_file()), folders[0])
    if spec.origin is None or not spec.has_location:
        raise PluginError(f"package {package!r} has no folder", remedy=AUTHOR_MENDS)
    return Path(spec.origin).parent


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder. Blocks: call it in a thread.

    Raises:
        PluginError: It is missing, is no YAML, or does not say what a manifest must.
        IncompatibleContract: It is for another contract, and so is not read any further.
    """
    source = _yaml(folder / MANIFEST, MANIFEST)
    check_contract(source.get("contract", CONTRACT))
    schema, notices = schema_from(ProviderSchema, source, MANIFEST)
    return Manifest(schema, folder, source, notices)


def _yaml(path: Path, name: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  wanted in threads only, when a manifest is

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506  it is the safe loader
    except FileNotFoundError:
        remedy = "it belongs into the plugin's top-level package, and into the wheel"
        raise PluginError(f"{name} is missing in {path.parent}", remedy=remedy) from None
    except OSError as error:
        raise PluginError(
            f"{name} cannot be read: {error.strerror}", remedy="mend its permissions, or reinstall it"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise PluginError(f"{name} is no YAML{where}: {problem}", remedy=AUTHOR_MENDS) from error
    if not isinstance(document, dict):
        raise PluginError(f"{name} must be a mapping, not {type(document).__name__}", remedy=AUTHOR_MENDS)
    return document


def read_models(manifest: Manifest) -> tuple[dict[tuple[ModelType, str], ModelSchema], tuple[str, ...]]:
    """Read the predefined models of a manifest. Blocks: call it in a thread.

    Returns:
        The models by type and name, and a line for each file that could not be read.
    """
    models: dict[tuple[ModelType, str], ModelSchema] = {}
    notices: list[str] = []
    if manifest.folder is None:
        return models, ()
    for kind, folders in _FOLDERS.items():
        for path in _model_files(manifest.schema, manifest.folder, folders, notices):
            name = path.relative_to(manifest.folder).as_posix()
            try:
                schema, found = schema_from(ModelSchema, _yaml(path, name), name)
            except PluginError as error:
                notices.append(error.message)
                continue
            notices.extend(found)
            models[kind, schema.model] = merged(replace(schema, model_type=kind), manifest.schema)
    return models, tuple(notices)


def _model_files(schema: ProviderSchema, folder: Path, names: Sequence[str], notices: list[str]) -> list[Path]:
    """Return the model YAML of one type: what the manifest's globs find, else what lies in the type's folder."""
    patterns = [f"models/{name}/**/*.yaml" for name in names]
    for name in names:
        declared = schema.models.get(name)
        given = declared.get("predefined") if isinstance(declared, Mapping) else None
        if given and isinstance(given, Sequence):
            patterns = [given] if isinstance(given, str) else [str(each) for each in given]
            break
    found: set[Path] = set()
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            notices.append(f"{MANIFEST}: models: {pattern!r} leads out of the package and is left out")
            continue
        try:
            found.update(folder.glob(pattern))
        except (ValueError, NotImplementedError) as error:
            notices.append(f"{MANIFEST}: models: {pattern!r} is no pattern: {error}")
    return sorted(path for path in found if not path.name.startswith("_"))
