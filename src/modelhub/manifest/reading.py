"""Reads ``provider.yaml`` and model YAML from where a distribution was installed, without importing its code.

Only the top-level package is looked up (``importlib.util.find_spec`` imports nothing then), which finds wheels and
editable installs alike. What Dify accepts is read; what is not understood costs as little as can be and is told in
notices that name file and line.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from modelhub.errors import PluginError
from modelhub.hookspecs import CONTRACT
from modelhub.manifest.completion import (
    completed_defaults,
    completed_rules,
    with_implied_features,
)
from modelhub.manifest.contract import AUTHOR_MENDS, check_contract
from modelhub.manifest.document import Document, DocumentError, read_document, shortened
from modelhub.manifest.folders import MANIFEST, Oddity, PackageFiles, manifest_file
from modelhub.manifest.merging import merged
from modelhub.manifest.problems import Problem, dotted
from modelhub.manifest.shapes import mapping_of, read_shape
from modelhub.manifest.spellings import model_type_named
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["Manifest", "manifest_folder", "read_manifest", "read_models"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was read.

    Attributes:
        schema: What it says.
        folder: Where it lies, for the model YAML beside it.
        source: What it says as a mapping, for the rows of a family.
        notices: What was not understood.
        name: The file it was read from, as a path from the folder.
    """

    schema: ProviderSchema
    folder: Path | None
    source: Mapping[str, Any]
    notices: tuple[str, ...] = ()
    name: str = MANIFEST


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
    """Read the manifest of a folder, in either layout. Blocks: call it in a thread.

    Raises:
        PluginError: It is missing, is no YAML, is no mapping or does not say which provider it is of.
        IncompatibleContract: It is for another contract, and so is not read any further.
    """
    name, notices = manifest_file(folder)
    document = read_document(folder / name, name)
    check_contract(_contract(mapping_of(document).get("contract")))
    shape = read_shape(ProviderSchema, document)
    schema = replace(shape.value, defaults=completed_defaults(shape.value.defaults))
    source = _source(shape.value, document.value.get("position"))
    return Manifest(schema, folder, source, (*notices, *_notices(document, shape.problems)), name)


def _source(schema: ProviderSchema, positions: object) -> Mapping[str, Any]:
    """Return a manifest as a mapping that is right in every part, so that rows of a family can be read from it."""
    source = asdict(schema)
    if isinstance(positions, Mapping):  # the paths among them are for who reads the files
        paths = {kind: path for kind, path in positions.items() if isinstance(path, str)}
        source["position"] = {**paths, **(schema.position or {})}
    return source


def _contract(declared: object) -> object:
    """Return the contract that a manifest declares; one of Dify's declares none."""
    match declared:
        case None:
            return CONTRACT
        case str() if declared.isdecimal():
            return int(declared)
        case bool():
            return str(declared).lower()  # ``true`` is 1 to Python, and a mistake
    return declared


def _notices(document: Document, problems: Iterable[Problem]) -> list[str]:
    """Return what is odd in a document, line by line."""
    found = [(remark.line, f"{document.name}:{remark.line}: {remark.message}") for remark in document.remarks]
    found += [(document.line(problem.path), problem.text(document)) for problem in problems]
    return [text for _, text in sorted(found, key=itemgetter(0))]


def read_models(manifest: Manifest) -> tuple[dict[tuple[ModelType, str], ModelSchema], tuple[str, ...]]:
    """Read the predefined models of a manifest. Blocks: call it in a thread.

    Returns:
        The models by type and name: by type, then in the order that the provider gives them, then by name; and a line
        for each thing that was not understood. A file that cannot be read costs its model and no other.
    """
    if manifest.folder is None:
        return {}, ()
    models = _Models(manifest, manifest.folder)
    for kind in ModelType:
        models.read(kind)
    return models.in_order(), tuple(models.notices)


class _Models:
    """The models of a provider while they are read."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.notices: list[str] = []
        self._manifest = manifest
        self._folder = folder
        self._files = PackageFiles(folder, manifest.name, manifest.source)
        self._read: set[Path] = set()
        self._found: dict[tuple[ModelType, str], ModelSchema] = {}
        self._from: dict[tuple[ModelType, str], str] = {}

    def read(self, kind: ModelType) -> None:
        """Read the files that are declared for a type."""
        files, oddities = self._files.models(kind)
        self._tell(oddities)
        for path in files:
            if path not in self._read:
                self._read.add(path)
                name = shortened(path.relative_to(self._folder).as_posix())
                try:
                    self._add(kind, read_document(path, name))
                except (PluginError, FileNotFoundError) as error:
                    self.notices.append(error.message if isinstance(error, PluginError) else f"{name} leads nowhere")

    def _add(self, kind: ModelType, document: Document) -> None:
        """Add the model of a document.

        Raises:
            DocumentError: It is none.
        """
        named = mapping_of(document).get("model_type")
        own = kind if named is None else model_type_named(named)
        place = document.place(["model_type"])
        if own is None:
            self.notices.append(
                f"{place}: the model is left out: models of type {shortened(repr(named))} are not served"
            )
            return
        if own is not kind:
            self.notices.append(f"{place}: a model of type {own.value!r} stands among those of {kind.value!r}")
        shape = read_shape(ModelSchema, document)
        self.notices += _notices(document, shape.problems)
        rules = completed_rules(shape.value.parameter_rules)
        schema = replace(shape.value, model_type=own, parameter_rules=rules)
        key = own, schema.model
        if key in self._found:
            same = f"model {shortened(repr(schema.model))} is left out: it is in {self._from[key]} too"
            self.notices.append(f"{document.place(['model'])}: {same}")
            return
        self._found[key] = with_implied_features(merged(schema, self._manifest.schema))
        self._from[key] = document.name

    def _tell(self, oddities: Iterable[Oddity]) -> None:
        """Add what is odd in the manifest, which is read once more for the lines."""
        document: Document | None = None
        for oddity in oddities:
            if oddity.path is None:
                self.notices.append(shortened(oddity.message))
                continue
            if document is None:
                document = self._manifest_document()
            place = self._manifest.name if document is None else document.place(oddity.path)
            self.notices.append(f"{place}: {dotted(oddity.path)}: {shortened(oddity.message)}")

    def _manifest_document(self) -> Document | None:
        try:
            return read_document(self._folder / self._manifest.name, self._manifest.name)
        except (DocumentError, FileNotFoundError):  # it was there a moment ago
            return None

    def in_order(self) -> dict[tuple[ModelType, str], ModelSchema]:
        """Return the models in the order of listings."""
        ranks: dict[tuple[ModelType, str], int] = {}
        for kind in ModelType:
            if any(of_kind is kind for of_kind, _ in self._found):
                names, oddities = self._files.order(kind)
                self._tell(oddities)
                for name in names:
                    ranks.setdefault((kind, name), len(ranks))
        last = len(ranks)
        kinds = {kind: number for number, kind in enumerate(ModelType)}
        ordered = sorted(self._found, key=lambda key: (kinds[key[0]], ranks.get(key, last), key[1]))
        return {key: self._found[key] for key in ordered}
