"""The conversation on a terminal: it remembers, and Ctrl-C stops the answer and not the program."""

from pathlib import Path
from typing import Any

import pytest

PROMPT = ">>> "


def test_what_was_said_is_remembered_until_it_is_reset(screen: Any) -> None:
    """Each question carries those before it and their answers; `/reset` forgets them."""
    shown = screen("chat", "acme/echo", "--system", "Be brief.")
    shown.wait_for(PROMPT)
    shown.type("one\n")
    shown.wait_for("system: Be brief. | user: one\n")
    shown.wait_for(PROMPT)
    shown.type("two\n")
    shown.wait_for("| user: one | assistant: system: Be brief. | user: one | user: two\n")
    shown.wait_for(PROMPT)
    shown.type("/reset\n")
    shown.wait_for("forgotten")
    shown.wait_for(PROMPT)
    shown.type("three\n")
    shown.wait_for("system: Be brief. | user: three\n")
    shown.wait_for(PROMPT)
    shown.type("/exit\n")
    assert shown.end() == 0


def test_ctrl_c_stops_the_answer(screen: Any) -> None:
    """The conversation goes on; at the prompt Ctrl-C throws the line away and says how to leave; Ctrl-D leaves."""
    shown = screen("chat", "acme/endless")
    shown.wait_for(PROMPT)
    shown.type("go\n")
    shown.wait_for("word5 ")
    shown.type("\x03")
    shown.wait_for(PROMPT)
    shown.type("half a line")
    shown.wait_for("half a line")  # it is echoed once the prompt reads
    shown.interrupt("Ctrl-D or /exit ends the conversation")
    shown.wait_for(PROMPT)
    shown.type("again\n")
    shown.wait_for("word3 ")
    shown.type("\x03")
    shown.wait_for(PROMPT)
    shown.type("\x04")
    assert shown.end() == 0
    assert "Traceback" not in shown.written


def test_a_failure_does_not_end_the_conversation(screen: Any) -> None:
    """The error is told, the question forgotten, and the next one asked."""
    shown = screen("chat", "acme/breaks")
    for _ in range(2):
        shown.wait_for(PROMPT)
        shown.type("go\n")
        shown.wait_for("half an \n")
        shown.wait_for("the stream broke off before its end: the line went dead")
    shown.wait_for(PROMPT)
    shown.type("/exit\n")
    assert shown.end() == 0


def test_slashes_are_commands(screen: Any) -> None:
    """What there is is listed, what there is not is said; two slashes are one for the model."""
    shown = screen("chat", "acme/echo", environment={"MODELHUB_LANG": "id"})
    shown.wait_for(PROMPT)
    shown.type("/usage\n")
    shown.wait_for("belum ada jawaban")
    shown.type("/help\n")
    shown.wait_for("/reset   lupakan yang sudah dibicarakan")
    shown.type("/rest now\n")
    shown.wait_for("tidak ada /rest; /help menampilkan yang ada")
    shown.type("//slash\n")
    shown.wait_for("user: /slash\n")
    shown.type("/usage\n")
    shown.wait_for("7 token masuk")
    shown.type("/exit\n")
    assert shown.end() == 0


def test_a_conversation_tells_what_it_cost(screen: Any, tmp_path: Path) -> None:
    """The last answer by itself, and all of them together once there are several."""
    settings = tmp_path / "priced.toml"
    settings.write_text('[models."acme/echo".pricing]\ninput = "1000"\noutput = "1000"\ncached_read = "1000"\n')
    shown = screen("chat", "acme/echo", environment={"MODELHUB_LANG": "en", "MODELHUB_CONFIG": str(settings)})
    shown.wait_for(PROMPT)
    for text in ("one", "two"):
        shown.type(f"{text}\n")
        shown.wait_for(f"user: {text}\n")
    shown.type("/usage\n")
    shown.wait_for("$0.008 · ")
    shown.wait_for("$0.016 for 2 answers")
    shown.type("/exit\n")
    assert shown.end() == 0


def test_several_lines_are_one_question(screen: Any) -> None:
    """Between triple quotes; an empty line asks nothing."""
    shown = screen("chat", "acme/echo")
    shown.wait_for(PROMPT)
    shown.type("\n")
    shown.wait_for(PROMPT)
    shown.type('"""first\nsecond"""\n')
    shown.wait_for("user: first\nsecond\n")
    shown.wait_for(PROMPT)
    shown.type("\x04")
    assert shown.end() == 0


def test_lines_can_be_called_back(screen: Any) -> None:
    """The arrow upwards brings the last one."""
    pytest.importorskip("readline")
    shown = screen("chat", "acme/echo")
    shown.wait_for(PROMPT)
    shown.type("hello\n")
    shown.wait_for("user: hello\n")
    shown.wait_for(PROMPT)
    shown.type("\x1b[A\n")
    shown.wait_for("assistant: user: hello")
    shown.type("/exit\n")
    assert shown.end() == 0


def test_settings_that_cannot_be_used_end_it_at_once(screen: Any) -> None:
    """One line, exit code 1."""
    shown = screen("chat", "acme/echo", "--config", "missing.toml")
    assert shown.end() == 1
    assert "missing.toml cannot be read" in shown.written


def test_json_has_no_conversation(screen: Any) -> None:
    """A program asks one question at a time."""
    shown = screen("chat", "acme/echo", "--json")
    assert shown.end() == 2
    assert '"message": "PROMPT: there is nothing to ask"' in shown.written
