"""Model names as Ollama reads them: ``[host/][namespace/]model[:tag]``.

Owns splitting, comparing and finding names. Does not know which models a server has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches

from modelhub.errors import BadRequest

__all__ = ["ModelName", "find", "nearest", "parse"]

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_MOST_PARTS = 3


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model name in its four parts, written as they were given.

    Attributes:
        model: The model's own name.
        tag: Which of its variants.
        namespace: Whose it is.
        host: The registry, with its port where it has one.
    """

    model: str
    tag: str = DEFAULT_TAG
    namespace: str = DEFAULT_NAMESPACE
    host: str = DEFAULT_HOST

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Equal for names that mean the same model: letter case does not count."""
        return self.host.lower(), self.namespace.lower(), self.model.lower(), self.tag.lower()

    def __str__(self) -> str:
        whose = "" if self.namespace.lower() == DEFAULT_NAMESPACE else f"{self.namespace}/"
        if self.host.lower() != DEFAULT_HOST:
            whose = f"{self.host}/{self.namespace}/"
        return f"{whose}{self.model}:{self.tag}"


def parse(text: str) -> ModelName:
    """Split a name. The colon before a tag is the last one after the last slash, so a host may have a port.

    ``m:20b:cloud`` is another way to write ``m:20b-cloud``.

    Raises:
        BadRequest: It cannot be a name: a blank, an empty part or too many parts.
    """
    parts = text.split("/")
    name, colon, tag = parts[-1].rpartition(":")
    if not colon:
        name, tag = tag, DEFAULT_TAG
    elif ":" in name:
        name, _, variant = name.partition(":")
        tag = f"{variant}-{tag}"
    given = [*parts[:-1], name, tag]
    if _BLANK.search(text) or not all(given) or len(parts) > _MOST_PARTS or ":" in tag:
        message = f"{text!r} cannot be the name of a model"
        raise BadRequest(message, parameter="model", remedy="names look like llama3, llama3:8b or host/owner/model:tag")
    namespace = parts[-2] if len(parts) > 1 else DEFAULT_NAMESPACE
    host = parts[0] if len(parts) == _MOST_PARTS else DEFAULT_HOST
    return ModelName(name, tag, namespace, host)


def find(wanted: str, names: Iterable[str]) -> str | None:
    """Return the one of ``names`` that means the same model as ``wanted``.

    Where none does, the suffix ``:local`` (which tells newer servers not to ask the cloud) is left aside.

    Raises:
        BadRequest: ``wanted`` cannot be a name. What a server lists may be anything.
    """
    known: dict[tuple[str, str, str, str], str] = {}
    for name in names:
        with suppress(BadRequest):
            known[parse(name).key] = name
    found = known.get(parse(wanted).key)
    if found is None and wanted.lower().endswith(":local"):
        found = known.get(parse(wanted[: -len(":local")]).key)
    return found


def nearest(wanted: str, names: Iterable[str]) -> list[str]:
    """Return the names that were most likely meant, the likeliest first, three at most."""
    known = {name.lower(): name for name in names}
    close = get_close_matches(wanted.lower(), known, n=3, cutoff=0.5)
    same_model = [name for name in known if name.partition(":")[0] == wanted.lower().partition(":")[0]]
    return [known[name] for name in dict.fromkeys([*same_model, *close])][:3]
