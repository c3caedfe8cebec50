"""What somebody at a terminal sees, and what a pipe must not: bars, colours, tables, control characters."""

from typing import Any


def test_the_answer_is_written_as_it_comes(screen: Any) -> None:
    """The first words are there while the model still speaks; Ctrl-C ends the program with 130, without a traceback."""
    shown = screen("chat", "acme/endless", "x")
    shown.wait_for("word1 word2")
    shown.type("\x03")
    assert shown.end() == 130
    assert "Traceback" not in shown.written


def test_loading_is_shown_and_goes_away(screen: Any) -> None:
    """A bar on the terminal while the model loads, which the answer takes the place of."""
    shown = screen("chat", "acme/loads", "x")
    shown.wait_for("loading loads")
    rest = shown.wait_for("loaded\n")
    assert shown.end() == 0
    assert "\x1b[2K" in rest  # the bar's line was cleared


def test_nothing_moves_where_nobody_looks(cli: Any) -> None:
    """Where there is no terminal the same answer is its text alone."""
    ran = cli("chat", "acme/loads", "x")
    assert (ran.out, ran.err) == ("loaded\n", "")


def test_a_model_cannot_steer_the_terminal(screen: Any, process: Any) -> None:
    """Control characters are left out on a terminal, and arrive in a pipe as they were made."""
    shown = screen("chat", "acme/escapes", "x")
    assert shown.end() == 0
    assert "]0;ownedred[31m!" in shown.written
    assert "\x1b]0;" not in shown.written
    assert process("chat", "acme/escapes", "x").out == "\x1b]0;owned\x07red\x1b[31m\x00!\n"


def test_thinking_is_shown_beside_the_answer(screen: Any) -> None:
    """Dimmed, before it; in a pipe it is not there (as the tests of JSON show, it is an event)."""
    shown = screen("chat", "acme/thinks", "x", "--usage")
    assert shown.end() == 0
    assert "\x1b[2mhm, let me see\x1b[0m" in shown.written
    assert "42\n" in shown.written
    assert "tokens in" in shown.written


def test_tables_have_titles(screen: Any) -> None:
    """On a terminal, rows are under titles in the user's language."""
    shown = screen("providers", environment={"LANG": "id_ID.UTF-8"})
    assert shown.end() == 0
    for word in ("Penyedia", "Jenis model", "Keadaan", "Distribusi", "Akme", "terpasang", "──"):
        assert word in shown.written


def test_colours_can_be_turned_off(screen: Any) -> None:
    """`NO_COLOR` leaves errors plain; else they are red."""
    coloured = screen("models", "list", "acne")
    assert coloured.end() == 1
    assert "\x1b[31m" in coloured.written
    plain = screen("models", "list", "acne", environment={"NO_COLOR": "1"})
    assert plain.end() == 1
    assert "\x1b[" not in plain.written


def test_help_is_drawn(screen: Any) -> None:
    """With frames around what belongs together, in the user's language."""
    shown = screen("chat", "--help", environment={"MODELHUB_LANG": "id"})
    assert shown.end() == 0
    assert "╭─ Argumen ─" in shown.plain
    assert "╭─ Parameter model ─" in shown.plain


def test_a_pull_keeps_its_bars(screen: Any) -> None:
    """What was fetched stays to be read, and the end is said."""
    shown = screen("pull", "acme/tiny")
    assert shown.end() == 0
    assert "1.0 kB / 1.0 kB" in shown.plain
    assert shown.plain.endswith("tiny is ready\n")


def test_a_secret_is_asked_for_without_an_echo(screen: Any) -> None:
    """`--set KEY` alone; Ctrl-C at the question ends the program."""
    shown = screen("validate", "acme", "--set", "api_key")
    shown.wait_for("api_key: ")
    shown.type("wrong-key\n")
    assert shown.end() == 1
    assert "it is refused" in shown.written
    assert "wrong-key" not in shown.written
    stopped = screen("validate", "acme", "--set", "api_key")
    stopped.wait_for("api_key: ")
    stopped.type("\x03")
    assert stopped.end() == 130


def test_vectors_are_shown_by_their_beginning(screen: Any) -> None:
    """A terminal is no place for thousands of numbers."""
    shown = screen("embed", "acme/any", "aeiou")
    assert shown.end() == 0
    assert "5.0000, 1.0000, 1.0000, 1.0000, …" in shown.written
