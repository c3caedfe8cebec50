"""What a GGUF file says about itself, read in pure Python and without loading the model.

Owns the file's structure: the header, the metadata, the tensor table and whether all of it fits into the
file. The engine ends the whole process on some damaged files, so each file is checked here first. It does not
own where files come from (`model_files`) nor what runs them (`engine`). Weights are never read.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3), read 2026-11.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

from modelhub.errors import ModelNotFound

__all__ = ["GgufHeader", "damaged", "read_header"]

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_KEPT_BYTES: Final = 1 << 16
"""Longest string that is kept; longer ones (chat templates may be) are passed over and count as present."""
_MAX_NAME_BYTES: Final = 65535
_MAX_DIMENSIONS: Final = 4
_DEFAULT_ALIGNMENT: Final = 32
_ARRAY, _STRING, _BOOL = 9, 8, 7
_TOKENS: Final = "tokenizer.ggml.tokens"
_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "block_count": (1, 512),
    "context_length": (1, 2**31 - 1),
    "expert_count": (0, 512),
    "attention.layer_norm_epsilon": (0.0, 1.0),
    "attention.layer_norm_rms_epsilon": (0.0, 1.0),
}
"""What the architecture may claim: the engine ends the process beyond it (llama.cpp's src/llama-hparams.h)."""
_SCALARS: Final[Mapping[int, str]] = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_LENGTH: Final = struct.Struct("<Q")

_TENSOR_TYPES: Final[Mapping[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}  # fmt: skip
"""Per tensor type: its name, elements in a block, bytes in a block (ggml-common.h). Newer types pass with
less checked."""

_Value = str | int | float | bool | None


@final
@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a model file says about itself.

    Attributes:
        path: The file; of a split model its first part.
        parts: The files of the model in order: the file alone, or all parts.
        size: Bytes of all parts.
        version: Version of the format.
        architecture: The engine's word for the kind of model, such as ``llama``.
        name: The model's name as its publisher wrote it.
        context_length: Tokens the model was trained for, where the file says so.
        parameter_count: Weights, as counted from the tensor table.
        size_label: The publisher's word for the size (``135M``), or one made from the count.
        quantization: The tensor type that most weights have, such as ``Q4_1``.
        has_chat_template: Whether the file carries the template that turns messages into a prompt.
        metadata: Every scalar and every short string, by key.
    """

    path: Path
    parts: tuple[Path, ...]
    size: int
    version: int
    architecture: str
    name: str | None
    context_length: int | None
    parameter_count: int
    size_label: str
    quantization: str
    has_chat_template: bool
    metadata: Mapping[str, _Value]


def damaged(path: Path, what: str) -> ModelNotFound:
    """The error for a file that is no usable model; ``what`` completes "The file ... "."""
    return ModelNotFound(
        f"The file {path} {what}",
        remedy="fetch it again from where it came, or name another GGUF file",
        code="model_file_damaged",
    )


def read_header(path: Path) -> GgufHeader:
    """Read and check a model file: header, metadata, tensor table, and that each tensor is all there.

    Args:
        path: The file; of a split model its first part, whose other parts are expected beside it.

    Raises:
        ModelNotFound: The file cannot be read (code ``model_file_unreadable``), or it is damaged, no GGUF or
            no model (``model_file_damaged``).
    """
    try:
        first = _read_part(path)
        others = tuple(_other_parts(path, first.metadata))
        parts = [first, *map(_read_part, others)]
    except OSError as error:
        raise ModelNotFound(
            f"The model file {error.filename or path} cannot be read: {error.strerror or error}",
            remedy="check the path and its permissions",
            code="model_file_unreadable",
        ) from error
    return _describe((path, *others), parts)


@dataclass(slots=True)
class _Part:
    version: int
    size: int
    metadata: dict[str, _Value]
    elements: Counter[str]


@final
class _Reader:
    """Reads little-endian values; each length is held against the rest of the file before it is believed."""

    __slots__ = ("_file", "left", "path", "size")

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file = file
        self.path = path
        self.size = size
        self.left = size

    def take(self, count: int) -> bytes:
        self._claim(count)
        data = self._file.read(count)
        if len(data) != count:  # the file shrinks while it is read
            raise damaged(self.path, f"ends after {self.size - self.left} bytes, in the middle of its header")
        return data

    def skip(self, count: int) -> None:
        self._claim(count)
        self._file.seek(count, 1)

    def _claim(self, count: int) -> None:
        if count > self.left:
            raise damaged(self.path, f"is cut short or damaged: its header reaches past its end ({self.size} bytes)")
        self.left -= count

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def string(self) -> str | None:
        """The next string, or ``None`` where it is too long to be kept."""
        length = self.number("<Q")
        if length > _KEPT_BYTES:
            self.skip(length)
            return None
        return self.take(length).decode("utf-8", "replace")

    def name(self) -> str:
        length = self.number("<Q")
        if length > _MAX_NAME_BYTES:
            raise damaged(self.path, f"is damaged: a name in its header claims {length} bytes")
        return self.take(length).decode("utf-8", "replace")


def _read_part(path: Path) -> _Part:
    with path.open("rb", buffering=1 << 20) as file:
        size = path.stat().st_size
        reader = _Reader(file, path, size)
        version = _version(reader)
        tensors, pairs = reader.number("<Q"), reader.number("<Q")
        # A pair takes 13 bytes at least, a tensor 24: a count beyond that is a lie that would cost hours of
        # reading.
        if pairs > size // 13 or tensors > size // 24:
            raise damaged(path, f"is damaged: {size} bytes cannot hold {pairs} metadata entries and {tensors} tensors")
        metadata = dict(_pairs(reader, pairs))
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise damaged(path, f"is damaged: its alignment is {alignment!r}, which is no power of two")
        return _Part(version, size, metadata, _check_tensors(reader, tensors, alignment=alignment))


def _version(reader: _Reader) -> int:
    if reader.size == 0:
        raise damaged(reader.path, "is empty")
    if reader.take(min(4, reader.size)) != _MAGIC:
        raise damaged(reader.path, "is no GGUF model: it does not begin as one")
    version = reader.number("<I")
    if version and version & 0xFFFF == 0:
        raise damaged(reader.path, "is written for big-endian machines, which the engine does not read")
    if version not in _VERSIONS:
        raise damaged(reader.path, f"has GGUF version {version}; the engine reads versions 2 and 3")
    return version


def _pairs(reader: _Reader, count: int) -> Iterator[tuple[str, _Value]]:
    for _ in range(count):
        key = reader.name()
        kind = reader.number("<I")
        if kind == _ARRAY and key == _TOKENS:
            _check_tokens(reader)
        elif kind == _ARRAY:
            _skip_array(reader, key)
        else:
            yield key, _value(reader, key, kind)


def _value(reader: _Reader, key: str, kind: int) -> _Value:
    if kind == _STRING:
        return reader.string()
    layout = _SCALARS.get(kind)
    if layout is None:
        raise damaged(reader.path, f"is damaged: the metadata entry {key!r} has the unknown type {kind}")
    if kind == _BOOL:
        return reader.take(1) != b"\0"
    value: int | float = struct.unpack(layout, reader.take(struct.calcsize(layout)))[0]
    return value


def _skip_array(reader: _Reader, key: str) -> None:
    kind, count = reader.number("<I"), reader.number("<Q")
    if kind in _SCALARS:
        reader.skip(struct.calcsize(_SCALARS[kind]) * count)
    elif kind == _STRING:
        if count > reader.left // _LENGTH.size:
            raise damaged(reader.path, f"is damaged: {key!r} claims {count} strings, more than the file can hold")
        for _ in range(count):
            reader.skip(reader.number("<Q"))
    else:
        raise damaged(reader.path, f"is damaged: the list {key!r} has elements of the unknown type {kind}")


def _check_tokens(reader: _Reader) -> None:
    """Pass over the vocabulary. The engine ends the process where a token is there twice; empty ones it renames."""
    kind, count = reader.number("<I"), reader.number("<Q")
    if kind != _STRING or count > reader.left // _LENGTH.size:
        raise damaged(reader.path, f"is damaged: its vocabulary claims {count} tokens of the type {kind}")
    tokens = [reader.take(reader.number("<Q")) for _ in range(count)]
    if len(set(filter(None, tokens))) != sum(map(bool, tokens)):
        raise damaged(reader.path, "is damaged: its vocabulary has a token twice")


def _check_tensors(reader: _Reader, count: int, *, alignment: int) -> Counter[str]:
    """Read the tensor table, hold each tensor against the end of the file, and count weights by tensor type."""
    elements: Counter[str] = Counter()
    extents: list[tuple[str, int, int]] = []
    for _ in range(count):
        name = reader.name()
        rank = reader.number("<I")
        if not 1 <= rank <= _MAX_DIMENSIONS:
            raise damaged(reader.path, f"is damaged: the tensor {name!r} has {rank} dimensions")
        dimensions = struct.unpack(f"<{rank}Q", reader.take(8 * rank))
        kind, offset = reader.number("<I"), reader.number("<Q")
        type_name, block, block_bytes = _TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        total = _product(reader.path, name, dimensions)
        if dimensions[0] % block or offset % alignment:
            raise damaged(reader.path, f"is damaged: the tensor {name!r} is not laid out as {type_name} is")
        elements[type_name] += total
        extents.append((name, offset, total // block * block_bytes))
    begin = reader.size - reader.left
    begin += -begin % alignment
    for name, offset, length in extents:
        end = begin + offset + length
        if end > reader.size:
            raise damaged(
                reader.path,
                f"is cut short: the tensor {name!r} ends at byte {end}, the file at {reader.size}",
            )
    return elements


def _product(path: Path, name: str, dimensions: tuple[int, ...]) -> int:
    total = 1
    for dimension in dimensions:
        total *= dimension
    if not 0 < total < 1 << 62:
        raise damaged(path, f"is damaged: the tensor {name!r} has the dimensions {dimensions}")
    return total


def _other_parts(path: Path, metadata: Mapping[str, _Value]) -> Iterator[Path]:
    """The other files of a split model. The engine derives their names from the first one's, as done here."""
    count, number = metadata.get("split.count"), metadata.get("split.no")
    if not isinstance(count, int) or count <= 1:
        return
    suffix = f"-00001-of-{count:05d}.gguf"
    if number != 0 or not path.name.endswith(suffix):
        raise damaged(path, f"is one part of a model in {count} files; name the first, which ends in {suffix}")
    for index in range(2, count + 1):
        yield path.with_name(f"{path.name.removesuffix(suffix)}-{index:05d}-of-{count:05d}.gguf")


def _describe(paths: tuple[Path, ...], parts: list[_Part]) -> GgufHeader:
    path, metadata = paths[0], parts[0].metadata
    kind = metadata.get("general.type", "model")
    if kind != "model":
        raise damaged(path, f"is a GGUF of the type {kind!r} and holds no whole model")
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise damaged(path, "is no usable model: it does not name its architecture")
    elements = sum((part.elements for part in parts), Counter[str]())
    if not elements:
        raise damaged(path, "holds no weights, only a vocabulary")
    _check_claims(path, architecture, metadata)
    name, label = metadata.get("general.name"), metadata.get("general.size_label")
    context_length = metadata.get(f"{architecture}.context_length")
    return GgufHeader(
        path=path,
        parts=paths,
        size=sum(part.size for part in parts),
        version=parts[0].version,
        architecture=architecture,
        name=name if isinstance(name, str) else None,
        context_length=context_length if isinstance(context_length, int) and context_length > 0 else None,
        parameter_count=elements.total(),
        size_label=label if isinstance(label, str) else _size_label(elements.total()),
        quantization=elements.most_common(1)[0][0],
        has_chat_template="tokenizer.chat_template" in metadata,
        metadata=metadata,
    )


def _check_claims(path: Path, architecture: str, metadata: Mapping[str, _Value]) -> None:
    for name, (least, most) in _BOUNDS.items():
        value = metadata.get(f"{architecture}.{name}", least)
        if not isinstance(value, int | float) or not least <= value <= most:  # false for not-a-number too
            raise damaged(path, f"is damaged: its {name} is {value!r}")
    experts = metadata.get(f"{architecture}.expert_count", 0)
    if experts and not metadata.get(f"{architecture}.expert_used_count"):
        raise damaged(path, f"is damaged: it has {experts} experts and uses none")


def _size_label(count: int) -> str:
    """``135M``, ``1.5B``: how publishers write a number of weights."""
    if count >= 10**9:
        return f"{count / 10**9:.2g}B" if count < 10**10 else f"{count // 10**9}B"
    return f"{max(1, round(count / 10**6))}M"
