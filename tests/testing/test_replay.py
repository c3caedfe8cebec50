"""A recording is replayed byte for byte, in the parts it came in, at any speed."""

import json
from pathlib import Path

import httpx
import pytest

from modelhub.testing.replay import recorded
from modelhub.testing.wire_server import ThreadedWireServer

RECORDINGS = sorted((Path(__file__).parent.parent / "fixtures" / "ollama").glob("*.json"))


def test_there_are_recordings() -> None:
    """The folder holds what the tests below are about."""
    assert len(RECORDINGS) == 76


def test_every_recording_is_replayed_byte_for_byte() -> None:
    """Status, headers and body reach a client as the real server sent them."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in RECORDINGS]
    with ThreadedWireServer([recorded(path) for path in RECORDINGS]) as server, httpx.Client() as client:
        for document in documents:
            answer = document["response"]
            response = client.request(document["request"]["method"], server.url)
            assert (response.status_code, response.content.decode()) == (answer["status"], answer["body"])
            assert dict(response.headers) == answer["headers"]
    assert server.server.connections == 1


def test_a_stream_comes_in_its_original_parts() -> None:
    """Each arrival is a chunk of its own; what was shortened afterwards comes in the last one."""
    for path in RECORDINGS:
        sizes = [
            size for _, size in json.loads(path.read_text(encoding="utf-8"))["response"].get("arrivals_ms_bytes", [])
        ]
        chunks = recorded(path).chunks or []
        assert [len(chunk) for chunk in chunks][:-1] == sizes[:-1]
        assert not sizes or len(chunks) == len(sizes)


STREAM = {
    "response": {
        "status": 200,
        "headers": {"transfer-encoding": "chunked"},
        "body": "aabbb",
        "arrivals_ms_bytes": [[50.0, 2], [80.0, 3]],
    }
}


def test_the_original_pace_can_be_kept_or_sped_up() -> None:
    """Without a speed nothing waits; the first part's time is the wait for the answer."""
    assert [wait for wait, _ in recorded(STREAM).steps()] == [0.0] * 4
    paced = recorded(STREAM, speed=10)
    assert paced.delay == pytest.approx(0.005)
    assert [wait for wait, _ in paced.steps()][1:4] == pytest.approx([0.0, 0.003, 0.0])


def test_what_broke_off_breaks_off_again() -> None:
    """The last chunk, or the rest of the declared length, is missing as it was."""
    chunked = {"response": {**STREAM["response"], "broke_off": True}}
    assert recorded(chunked).writes() == [b"2\r\naa\r\n", b"3\r\nbbb\r\n"]
    declared = {"response": {"status": 200, "headers": {"content-length": "9"}, "body": "abc", "broke_off": True}}
    for recording in (chunked, declared):
        with ThreadedWireServer(recorded(recording)) as server, pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.url)
