"""A model file is described from its header alone, and a damaged one is refused before the engine sees it."""

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelhub.errors import ModelNotFound
from modelhub_local_model.gguf import read_header

WriteGguf = Callable[..., Path]
LLAMA = {"general.architecture": "llama"}


def refusal(path: Path) -> str:
    """Return why a file is refused."""
    with pytest.raises(ModelNotFound) as caught:
        read_header(path)
    assert caught.value.code == "model_file_damaged"
    text = str(caught.value)
    assert str(path) in text
    assert "fetch it again" in text
    assert "\n" not in text
    return text


def test_describes_the_default_model(default_model: Path) -> None:
    """The real default model is described by its header."""
    header = read_header(default_model)
    assert (header.architecture, header.context_length, header.size_label) == ("llama", 8192, "135M")
    assert (header.quantization, header.parameter_count, header.has_chat_template) == ("Q4_1", 134_515_008, True)
    assert header.name == "Smollm2 135M 8k Lc100K Mix1 Ep2"
    assert header.size == default_model.stat().st_size
    assert header.parts == (default_model,)


def test_describes_what_a_small_file_does_not_say(write_gguf: WriteGguf) -> None:
    """What a file leaves out is None, and its size is counted."""
    header = read_header(write_gguf())
    assert (header.name, header.context_length, header.has_chat_template) == (None, None, False)
    assert (header.parameter_count, header.size_label, header.quantization) == (8, "1M", "F32")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"GG", "no GGUF model"),
        (b"PK\3\4 a zip archive", "no GGUF model"),
        (b"GGUF", "is cut short"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 0, 0, 0), "version 0"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "cannot hold"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "cannot hold"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 40) + bytes(64), "a name in its header claims"),
    ],
)
def test_refuses_what_is_no_gguf(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file that is no GGUF, or none that the engine reads, is refused with the reason."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert reason in refusal(path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"metadata": {}}, "does not name its architecture"),
        ({"metadata": LLAMA | {"general.type": "adapter"}}, "type 'adapter'"),
        ({"metadata": LLAMA | {"general.alignment": 3}}, "no power of two"),
        ({"metadata": LLAMA | {"llama.block_count": 0}}, "block_count is 0"),
        ({"metadata": LLAMA | {"llama.block_count": 513}}, "block_count is 513"),
        ({"metadata": LLAMA | {"llama.context_length": 0}}, "context_length is 0"),
        ({"metadata": LLAMA | {"llama.expert_count": 513}}, "expert_count is 513"),
        ({"metadata": LLAMA | {"llama.expert_count": 8}}, "8 experts and uses none"),
        ({"metadata": LLAMA | {"llama.attention.layer_norm_rms_epsilon": float("nan")}}, "epsilon is nan"),
        ({"metadata": LLAMA | {"tokenizer.ggml.tokens": ["a", "b", "a"]}}, "a token twice"),
        ({"metadata": LLAMA | {"tokenizer.ggml.tokens": [1, 2]}}, "its vocabulary claims 2 tokens of the type 5"),
        ({"tensors": ()}, "no weights"),
        ({"tensors": [("t", (4, 4, 4, 4, 4), bytes(4096))]}, "5 dimensions"),
        ({"tensors": [("t", (4, 0), b"")]}, "dimensions (4, 0)"),
        ({"tensors": [("t", (1 << 31, 1 << 31, 2), b"")]}, "has the dimensions"),
        ({"tensors": [("t", (1000,), bytes(32))]}, "is cut short: the tensor 't' ends at byte"),
        ({"tensor_type": 2}, "not laid out as Q4_0"),
        ({"tensor_count": 2}, "has 0 dimensions"),
        ({"pair_count": 2}, "is damaged"),
    ],
)
def test_refuses_what_the_engine_would_not_survive(
    write_gguf: WriteGguf, fields: dict[str, object], reason: str
) -> None:
    """Claims that are wrong, or that end the whole process in the engine, are refused."""
    assert reason in refusal(write_gguf(**fields))


def test_accepts_empty_tokens_more_than_once(write_gguf: WriteGguf) -> None:
    """The engine renames empty tokens, so that they may repeat."""
    path = write_gguf(metadata=LLAMA | {"tokenizer.ggml.tokens": ["", "a", ""]})
    assert read_header(path).architecture == "llama"


def test_accepts_a_tensor_type_of_the_future(write_gguf: WriteGguf) -> None:
    """A tensor type that this reader does not know is the engine's affair."""
    assert read_header(write_gguf(tensor_type=77)).quantization == "type 77"


def test_says_when_a_file_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are told apart from a damaged file."""
    for path in (tmp_path / "missing.gguf", tmp_path):
        with pytest.raises(ModelNotFound, match="cannot be read") as caught:
            read_header(path)
        assert caught.value.code == "model_file_unreadable"


class TestSplitModels:
    """A model in several files is one model."""

    def part(self, write_gguf: WriteGguf, number: int, **fields: object) -> Path:
        """Write one part of two."""
        claims = LLAMA | {"split.count": 2, "split.no": number - 1}
        return write_gguf(f"big-{number:05d}-of-00002.gguf", metadata=claims, **fields)

    def test_counts_all_parts(self, write_gguf: WriteGguf) -> None:
        """Weights and bytes are those of all parts."""
        first, second = self.part(write_gguf, 1), self.part(write_gguf, 2)
        header = read_header(first)
        assert header.parts == (first, second)
        assert header.parameter_count == 16
        assert header.size == first.stat().st_size + second.stat().st_size

    def test_names_the_first_part_where_another_was_given(self, write_gguf: WriteGguf) -> None:
        """A part that is not the first says which one to name."""
        self.part(write_gguf, 1)
        assert "name the first, which ends in -00001-of-00002.gguf" in refusal(self.part(write_gguf, 2))

    def test_misses_an_absent_part(self, write_gguf: WriteGguf) -> None:
        """An absent part is named."""
        first = self.part(write_gguf, 1)
        with pytest.raises(ModelNotFound, match=r"big-00002-of-00002\.gguf cannot be read: No such file"):
            read_header(first)

    def test_refuses_a_damaged_part(self, write_gguf: WriteGguf) -> None:
        """Each part is checked as the first is."""
        first = self.part(write_gguf, 1)
        second = self.part(write_gguf, 2)
        second.write_bytes(second.read_bytes()[:-40])
        with pytest.raises(ModelNotFound, match=r"00002-of-00002\.gguf is cut short"):
            read_header(first)


def test_refuses_every_shortened_file(tmp_path: Path, tiny_bytes: bytes) -> None:
    """A file that lost its end, wherever, is refused."""
    path = tmp_path / "short.gguf"
    for length in range(0, len(tiny_bytes) - 32, 997):
        path.write_bytes(tiny_bytes[:length])
        with pytest.raises(ModelNotFound):
            read_header(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(4, 12_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_never_fails_otherwise(tmp_path: Path, tiny_bytes: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever bytes are changed, the file is described or refused, and nothing else happens."""
    spoiled = bytearray(tiny_bytes)
    for position, value in changes:
        spoiled[position] = value
    path = tmp_path / "spoiled.gguf"
    path.write_bytes(spoiled)
    with suppress(ModelNotFound):
        read_header(path)
