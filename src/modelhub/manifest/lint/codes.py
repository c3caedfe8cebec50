"""What can be wrong with a plugin's files: a stable word for each kind of defect, and how bad it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["CODES", "Defect", "Severity", "defect"]

Severity: TypeAlias = Literal["error", "warning"]
"""``error``: something does not work, or is not what its author thinks. ``warning``: it works, and could be better."""


@dataclass(frozen=True, slots=True, order=True)
class Defect:
    """Something that is wrong with a file.

    Attributes:
        file: The file, as a path from where the search began.
        line: Where in it, counted from 1; 1 where the whole file is meant.
        code: What kind of defect it is, one of `CODES`.
        message: What is wrong, in one sentence.
        remedy: What to do about it.
        severity: ``error`` or ``warning``.
    """

    file: str
    line: int
    code: str
    message: str
    remedy: str
    severity: Severity


_ERRORS = (
    # files
    *(
        "unreadable",
        "not-yaml",
        "not-mapping",
        "duplicate-key",
        "several-documents",
        "several-manifests",
        "no-manifest",
    ),
    # keys and values
    *("unknown-key", "missing-key", "wrong-type", "unknown-value"),
    # the provider
    *("provider-mismatch", "methods-missing", "configurator", "types-missing", "unknown-model-type"),
    *("contract-unknown", "unknown-timeout", "unknown-limit", "probe"),
    *("row-without-id", "duplicate-row", "unknown-default-model"),
    *("help-url", "icon-missing", "icon-outside"),
    # its models
    *("duplicate-model", "model-type-mismatch", "undeclared-type", "type-without-models", "glob-empty", "glob-outside"),
    *("unknown-position", "context-size"),
    # prices
    *("unit", "unit-zero", "price", "price-key", "output-price-missing", "currency"),
    # forms
    *("duplicate-variable", "secret-in-clear", "secret-default", "options-missing", "duplicate-option"),
    *("default-type", "default-range", "default-option", "default-precision", "default-length", "min-above-max"),
    *("show-on-unknown", "show-on-impossible", "show-on-cycle", "never-shown"),
    # parameters
    *("unknown-template", "duplicate-template", "duplicate-parameter", "precision"),
    # labels
    "locale",
    # code and packaging
    *("type-not-implemented", "method-missing", "code-unreadable", "entry-point", "foreign-import", "package-data"),
)
_WARNINGS = (
    *("contract-missing", "operation-unlabelled", "endpoint-role", "own-server"),
    *("stray-model", "position-missing", "unknown-feature", "unknown-property", "deprecated-replacement"),
    *("deprecation", "label-missing", "label-empty", "locale-missing", "schema-in-code"),
)

CODES: Mapping[str, Severity] = MappingProxyType(
    {**dict.fromkeys(_ERRORS, "error"), **dict.fromkeys(_WARNINGS, "warning")}
)
"""Every kind of defect, with how bad it is. The words are stable: scripts may look for them."""


def defect(file: str, line: int, code: str, message: str, remedy: str) -> Defect:
    """Make a defect; its code says how bad it is."""
    return Defect(file, line, code, message, remedy, CODES[code])
