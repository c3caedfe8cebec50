"""Reads ``provider.yaml`` and model YAML from where a distribution was installed, without importing its code.

Only the top-level package is looked up (``importlib.util.find_spec`` imports nothing then), which finds wheels and
editable installs alike. Unknown keys are reported as notices, so that a misspelt one is seen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modelhub.errors import PluginError
from modelhub.rules.names import nearest
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Manifest", "manifest_folder", "merged", "read_manifest", "read_models", "schema_from"]

T = TypeVar("T")

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
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise PluginError(f"package {package!r} cannot be found: {error}") from error
    if spec is None:
        raise PluginError(f"package {package!r} is not installed", remedy="reinstall the plugin's distribution")
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if spec.origin is None:
        raise PluginError(f"package {package!r} has no folder")
    return Path(spec.origin).parent


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder. Blocks: call it in a thread.

    Raises:
        PluginError: It is missing, is no YAML, or does not say what a manifest must.
    """
    path = folder / MANIFEST
    source = _yaml(path)
    schema, notices = schema_from(ProviderSchema, source, MANIFEST)
    return Manifest(schema, folder, source, notices)


def _yaml(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  wanted in threads only, when a manifest is

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506  it is the safe loader
    except FileNotFoundError as error:
        remedy = "it belongs into the plugin's top-level package, and into the wheel"
        raise PluginError(f"{path.name} is missing", remedy=remedy) from error
    except OSError as error:
        raise PluginError(f"{path.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise PluginError(
            f"{path.name} is no YAML{where}: {problem}", remedy="the plugin's author must mend it"
        ) from error
    if not isinstance(document, dict):
        raise PluginError(f"{path.name} must be a mapping, not {type(document).__name__}")
    return document


@cache
def _adapter(cls: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter  # noqa: PLC0415  wanted only where something from outside is read

    return TypeAdapter(cls)


def schema_from(cls: type[T], source: Mapping[str, Any], name: str) -> tuple[T, tuple[str, ...]]:
    """Read a mapping as one of the schema classes.

    Returns:
        The value, and a line for each key that was not understood.

    Raises:
        PluginError: It cannot be one; the message names the first wrong place.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    notices = tuple(_unknown_keys(cls, source, name))
    try:
        adapter: TypeAdapter[T] = _adapter(cls)  # type: ignore[arg-type]  # classes are hashable
        return adapter.validate_python(dict(source)), notices
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "it"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PluginError(
            f"{name}: {place}: {first['msg']}{more}", remedy="the plugin's author must mend it"
        ) from error


def _unknown_keys(cls: type, source: Mapping[str, Any], name: str) -> Sequence[str]:
    known = set(cls.__dataclass_fields__)  # type: ignore[attr-defined]  # the schema classes are dataclasses
    lines = []
    for key in source:
        if key not in known:
            near = nearest(str(key), known, most=1)
            lines.append(f"{name}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return lines


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
        for path in _model_files(manifest, folders):
            name = path.relative_to(manifest.folder).as_posix()
            try:
                schema, found = schema_from(ModelSchema, _yaml(path), name)
            except PluginError as error:
                notices.append(error.message if error.message.startswith(name) else f"{name}: {error.message}")
                continue
            notices.extend(found)
            models[kind, schema.model] = merged(replace(schema, model_type=kind), manifest.schema)
    return models, tuple(notices)


def _model_files(manifest: Manifest, folders: Sequence[str]) -> list[Path]:
    assert manifest.folder is not None  # noqa: S101  the caller has checked
    for name in folders:
        declared = manifest.schema.models.get(name)
        patterns = declared.get("predefined") if isinstance(declared, Mapping) else None
        if isinstance(patterns, Sequence):
            found = {path for pattern in patterns for path in manifest.folder.glob(str(pattern))}
            return sorted(path for path in found if not path.name.startswith("_"))
    return sorted(
        path
        for name in folders
        for path in (manifest.folder / "models" / name).glob("**/*.yaml")
        if not path.name.startswith("_")
    )


def merged(schema: ModelSchema, provider: ProviderSchema, predefined: ModelSchema | None = None) -> ModelSchema:
    """Fill in what a model leaves out: from its own YAML, then from what its provider says of all models of its type.

    A model's own parameter rules stand; rules that the provider has besides are added.
    """
    if predefined is not None:
        schema = replace(
            schema,
            label=schema.label or predefined.label,
            features=predefined.features if schema.features is None else schema.features,
            model_properties={**predefined.model_properties, **schema.model_properties},
            parameter_rules=schema.parameter_rules or predefined.parameter_rules,
            pricing=schema.pricing or predefined.pricing,
            deprecated=schema.deprecated or predefined.deprecated,
        )
    defaults = provider.defaults.get(schema.model_type.value)
    if defaults is None:
        return schema
    rules = schema.parameter_rules
    if defaults.parameter_rules is not None:
        own = {rule.neutral for rule in rules or ()}
        rules = [*(rules or ()), *(rule for rule in defaults.parameter_rules if rule.neutral not in own)]
    return replace(
        schema,
        features=defaults.features if schema.features is None else schema.features,
        parameter_rules=rules,
        model_properties={**defaults.model_properties, **schema.model_properties},
    )
