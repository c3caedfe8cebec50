"""`chat`: one question, its answer, and everything around them."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


def test_an_answer_is_all_that_stdout_gets(cli: Any) -> None:
    """The text and the end of its line on stdout, nothing on stderr."""
    ran = cli("chat", "acme/echo", "Hello there")
    assert (ran.code, ran.out, ran.err) == (0, "user: Hello there\n", "")


def test_a_line_that_is_ended_is_not_ended_twice(cli: Any) -> None:
    """An answer that ends its last line itself gets no empty one; no answer is no line."""
    assert cli("chat", "acme/lines", "x").out == "one\ntwo\n"
    assert cli("chat", "acme/silent", "x").out == ""


def test_the_default_model_needs_no_name(cli: Any) -> None:
    """A provider alone is its default model."""
    assert cli("chat", "acme", "Hi").out == "user: Hi\n"


def test_what_is_piped_in_is_asked(cli: Any, process: Any) -> None:
    """A pipe is the question, is added to the argument, or stands where `-` does."""
    assert process("chat", "acme/echo", stdin=b"from a pipe\n").out == "user: from a pipe\n"
    assert cli("chat", "acme/echo", "Sum up:", stdin="naïve".encode()).out == "user: Sum up:\n\nnaïve\n"
    assert cli("chat", "acme/echo", "-", stdin=b"dash").out == "user: dash\n"


def test_a_pipe_that_is_no_text_is_refused(cli: Any) -> None:
    """Bytes that are no UTF-8 are said to be so."""
    ran = cli("chat", "acme/echo", stdin=b"\xff\xfe\x00")
    assert ran.code == 2
    assert "error: stdin: what was piped in is no UTF-8 text" in ran.err


def test_a_pipe_that_nobody_ends_is_waited_for_aloud(acme: Any, tmp_path: Path) -> None:
    """After a moment a line says what the program waits for; then it goes on as ever."""
    script = Path(sys.executable).with_name("modelhub")
    with subprocess.Popen(
        [script, "chat", "acme/echo", "x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=acme.environment,
        cwd=tmp_path,
        text=True,
    ) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        assert running.stderr.readline() == "waiting for the end of what is piped in\n"
        running.stdin.close()
        assert running.stdout is not None
        assert running.stdout.read() == "user: x\n"


def test_nothing_to_ask_is_a_usage_error(cli: Any) -> None:
    """With an empty pipe and no argument there is no question, and no terminal for a conversation."""
    ran = cli("chat", "acme/echo", stdin=b"")
    assert ran.code == 2
    assert "error: PROMPT: there is nothing to ask" in ran.err


def test_parameters_reach_the_provider(cli: Any) -> None:
    """Neutral parameters by their names and types, the provider's own by `--vendor`."""
    numbers = ("--temperature", "0.5", "--max-tokens", "9", "--seed", "7")
    words = ("--stop", "A", "--stop", "B", "--reasoning", "high", "--vendor", "mood=glad")
    ran = cli("chat", "acme/parameters", "x", *numbers, *words)
    assert json.loads(ran.out) == {
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 7,
        "stop": ["A", "B"],
        "reasoning": "high",
        "mood": "glad",
    }


def test_vendor_parameters_may_name_their_provider(cli: Any) -> None:
    """`PROVIDER.KEY` goes to that provider only, and not to those after it."""
    ran = cli(
        "chat", "acme/parameters,ollama_local/x", "x", "--vendor", "acme.mood=sad", "--vendor", "ollama_local.raw=1"
    )
    assert json.loads(ran.out) == {"mood": "sad"}


def test_a_parameter_that_the_model_does_not_take_is_an_error(cli: Any) -> None:
    """The core's checks are the command line's."""
    ran = cli("chat", "acme/echo", "x", "--temperature", "9")
    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert "temperature" in ran.err


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--temperature", "hot", "--temperature: 'hot' is no number"),
        ("--max-tokens", "1.5", "--max-tokens: '1.5' is no whole number"),
        ("--vendor", "mood", "--vendor: 'mood' is not KEY=VALUE"),
        ("--schema", "{", "--schema: it is no JSON"),
        ("--schema", "missing.json", "--schema: missing.json cannot be read: No such file or directory"),
        ("--image", "missing.png", "--image: missing.png cannot be read: No such file or directory"),
    ],
)
def test_an_option_that_cannot_be_read_is_named(cli: Any, option: str, value: str, complaint: str) -> None:
    """The option, what stands there, and exit code 2."""
    ran = cli("chat", "acme/echo", "x", option, value)
    assert ran.code == 2
    assert f"error: {complaint}" in ran.err


def test_instructions_go_first(cli: Any) -> None:
    """`--system` is the system message."""
    assert cli("chat", "acme/echo", "x", "--system", "Be brief.").out == "system: Be brief. | user: x\n"


def test_images_are_shown(cli: Any, tmp_path: Path) -> None:
    """A file goes by what is in it, whatever its name; an address goes as it is."""
    (tmp_path / "dot.dat").write_bytes(PNG)
    ran = cli("chat", "acme/echo", "x", "--image", "dot.dat", "--image", "https://example.com/a.png")
    assert ran.out == "user: x <image/png> <image/*>\n"
    (tmp_path / "text.png.txt").write_text("no image")
    assert "text.png.txt is no image" in cli("chat", "acme/echo", "x", "--image", "text.png.txt").err


def test_a_shaped_answer_arrives_whole(cli: Any, tmp_path: Path) -> None:
    """In a pipe, an answer with a schema is one indented JSON document; inline and from a file alike."""
    (tmp_path / "person.json").write_text(json.dumps(SCHEMA))
    for schema in ("person.json", json.dumps(SCHEMA)):
        ran = cli("chat", "acme/shaped", "x", "--schema", schema)
        assert (ran.code, ran.out) == (0, '{\n  "name": "Siti",\n  "age": 34\n}\n')


def test_an_answer_without_its_shape_is_an_error(cli: Any) -> None:
    """Nothing reaches the pipe that is not what was asked for."""
    ran = cli("chat", "acme/unshaped", "x", "--schema", json.dumps(SCHEMA))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: acme/unshaped: the answer has not the shape asked for")


def test_events_come_as_lines_of_json(cli: Any) -> None:
    """With `--json`, each event on a line and the result at the end."""
    ran = cli("chat", "acme/thinks", "x", "--json")
    assert [line["type"] for line in ran.lines] == ["started", "reasoning", "text", "finish", "result"]
    result = ran.lines[-1]
    assert (result["text"], result["model"], result["finish_reason"]) == ("42", "acme/thinks", "stop")
    assert result["usage"]["input_tokens"] == 7
    assert ran.err == ""


def test_a_whole_answer_comes_as_one_document(cli: Any) -> None:
    """With `--json --no-stream`, one document."""
    ran = cli("--json", "chat", "acme/shaped", "x", "--no-stream", "--schema", json.dumps(SCHEMA))
    assert ran.document["output"] == {"name": "Siti", "age": 34}
    assert ran.document["attempts"][0]["deployment"] == "acme/shaped"
    assert cli("chat", "acme/thinks", "x", "--no-stream").out == "42\n"


def test_usage_is_told_on_stderr(cli: Any) -> None:
    """Tokens, the time to the first one and the pace, and none of it in the answer."""
    ran = cli("chat", "acme/echo", "x", "--usage")
    assert ran.out == "user: x\n"
    assert ran.err.startswith("acme/echo · 7 tokens in · 2 of them cached · 1 token out · first token after ")
    assert " · 2.0 tokens/s · " in ran.err


def test_what_the_reader_should_know_is_told_on_stderr(cli: Any) -> None:
    """Warnings, and an end that is none."""
    assert cli("chat", "acme/warns", "x").err == "note: this is odd\n"
    assert "--max-tokens" in cli("chat", "acme/cut", "x").err


def test_the_next_model_answers_where_one_fails(cli: Any) -> None:
    """Commas and `--fallback` name models in order; who answered instead is told."""
    ran = cli("chat", "acme/overloaded,acme/bug", "x", "--fallback", "acme/echo")
    assert (ran.code, ran.out) == (0, "user: x\n")
    failed = "acme/overloaded (the server has no capacity now), acme/bug (a plugin failed)"
    assert ran.err == f"note: acme/echo answered; before it failed: {failed}\n"


def test_all_failures_are_told_where_every_model_fails(cli: Any) -> None:
    """Each deployment with what it failed with."""
    ran = cli("chat", "acme/overloaded,acme/bug", "x")
    assert ran.code == 1
    assert "  tried: acme/overloaded (the server has no capacity now), acme/bug (a plugin failed)" in ran.err


def test_half_an_answer_is_shown_and_then_the_error(cli: Any) -> None:
    """What came stays on stdout, its line ended; the error says that it broke off."""
    ran = cli("chat", "acme/breaks", "x")
    assert (ran.code, ran.out) == (1, "half an \n")
    assert ran.err.startswith("error: acme/breaks: the stream broke off")


def test_a_failure_in_json_is_the_last_line(cli: Any) -> None:
    """After the events that came, an object with the key `error`."""
    ran = cli("chat", "acme/breaks", "x", "--json")
    assert ran.code == 1
    error = ran.lines[-1]["error"]
    assert (error["type"], error["model"], error["retry"]) == ("StreamInterrupted", "breaks", "other_deployment")
    assert ran.err == ""
    overloaded = cli("chat", "acme/overloaded", "x", "--json").document["error"]
    assert (overloaded["scope"], overloaded["retry_after"]) == ("endpoint", 3)
