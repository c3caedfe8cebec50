"""Reads ``provider.yaml`` and model YAML from where a distribution was installed, without importing its code.

Only the top-level package is looked up (``importlib.util.find_spec`` imports nothing then), which finds wheels and
editable installs alike. Unknown keys are reported as notices, so that a misspelt one is seen.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from modelhub.errors import PluginError
from modelhub.hookspecs import CONTRACT
from modelhub.rules.names import nearest
from modelhub.runtime.loading import AUTHOR_MENDS, check_contract
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Manifest", "manifest_folder", "merged", "read_manifest", "read_models", "schema_from", "unknown_keys"]

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

    notices = tuple(unknown_keys(cls, source, name))
    try:
        adapter: TypeAdapter[T] = _adapter(cls)  # type: ignore[arg-type]  # classes are hashable
        return adapter.validate_python(dict(source)), notices
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "it"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PluginError(f"{name}: {place}: {first['msg']}{more}", remedy=AUTHOR_MENDS) from error


def unknown_keys(cls: type, source: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a line for each key of a mapping, at any depth, that the schema class does not have."""
    hints = _hints(cls)
    for key, value in source.items():
        if key in hints:
            for nested, item, where in _nested(hints[key], value):
                yield from unknown_keys(nested, item, f"{name}: {key}{where}")
        else:
            near = nearest(str(key), hints, most=1)
            yield f"{name}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _nested(hint: Any, value: object) -> Iterator[tuple[type, Mapping[str, Any], str]]:
    """Yield each mapping in a value that stands for a schema class, and where in it."""
    arguments = get_args(hint)
    if isinstance(value, Mapping):
        if is_dataclass(hint) and isinstance(hint, type):
            yield hint, value, ""
        elif get_origin(hint) is Mapping:
            for key, item in value.items():
                yield from ((cls, each, f".{key}{where}") for cls, each, where in _nested(arguments[1], item))
    elif get_origin(hint) is Sequence and isinstance(value, list):
        for number, item in enumerate(value):
            yield from ((cls, each, f"[{number}]{where}") for cls, each, where in _nested(arguments[0], item))
    if get_origin(hint) in {Union, UnionType}:
        for argument in arguments:
            yield from _nested(argument, value)


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


def merged(schema: ModelSchema, provider: ProviderSchema, predefined: ModelSchema | None = None) -> ModelSchema:
    """Fill in what a model leaves out: from its own YAML, then from what its provider says of all models of its type.

    A model's own parameter rules stand; rules that the provider has besides are added.
    """
    if predefined is not None:
        schema = replace(
            schema,
            label=predefined.label or schema.label,
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
