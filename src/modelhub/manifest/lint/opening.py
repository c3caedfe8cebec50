"""Opens a YAML file, and tells what keeps it from being one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from modelhub.manifest.document import DocumentError, read_document
from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.nodes import YamlFile

__all__ = ["Opened", "opened"]


@final
@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening a file.

    Attributes:
        yaml: The file; ``None`` where nothing can be said of its content.
        defects: What is wrong with it as YAML.
    """

    yaml: YamlFile | None
    defects: Sequence[Defect] = ()


def opened(path: Path, *, mapping: bool = True) -> Opened:
    """Open a YAML file.

    Args:
        path: The file.
        mapping: Whether it must be a mapping.
    """
    shown = path.as_posix()
    try:
        document = read_document(path, shown)
    except FileNotFoundError:
        return Opened(None, [defect(shown, 1, "unreadable", "it is not there", "add it, or mend the path")])
    except DocumentError as error:
        code = "unreadable" if error.line is None and "cannot be read" in error.message else "not-yaml"
        message = error.message.removeprefix(shown).lstrip(":0123456789").strip()
        remedy = "mend its permissions" if code == "unreadable" else "mend the line, or quote the value"
        return Opened(None, [defect(shown, error.line or 1, code, message, remedy)])
    found = [defect(shown, each.line, each.code, each.message, _REMEDIES[each.code]) for each in document.remarks]
    file = YamlFile(path, shown, document)
    if mapping and not isinstance(document.value, Mapping):
        what = "empty" if document.value is None else "no mapping"
        found.append(defect(shown, 1, "not-mapping", f"it is {what}", "write keys with values: provider: …, model: …"))
        return Opened(None, found)
    return Opened(file, found)


_REMEDIES: Mapping[str, str] = {
    "duplicate-key": "remove one of the two",
    "several-documents": "make two files of them",
}
