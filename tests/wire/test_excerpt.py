"""What of an answer reaches a message is short, printable and without secrets."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.wire.excerpt import EXCERPT_LIMIT, clean, excerpt

KEY = "sk-1234567890/abc+def=="


@given(st.binary() | st.text(), st.text(), st.integers(10, 100))
def test_any_body_gives_one_printable_line(body: bytes | str, content_type: str, limit: int) -> None:
    """Escapes, broken characters and line ends never get through, and the limit holds in bytes."""
    shown = excerpt(body, content_type, limit=limit)
    assert shown.isprintable()
    assert len(shown.encode()) <= limit


def test_control_characters_are_shown_escaped() -> None:
    """An answer cannot drive the terminal that shows its error."""
    assert clean("a\x1b[31mb\u202ec\ud800d\n e") == "a\\x1b[31mb\\u202ec\\ud800d e"


@pytest.mark.parametrize(
    "echo", [KEY, KEY.replace("/", "\\/"), "sk-1234567890%2Fabc%2Bdef%3D%3D", f"x{KEY}y", f"Bearer {KEY}"]
)
def test_a_secret_is_masked_in_every_form_it_is_echoed_in(echo: str) -> None:
    """As it is, escaped in JSON, in a URL; the rest of the sentence stays."""
    shown = clean(f"Incorrect key {echo}. See docs", secrets=["", KEY])
    assert "1234567890" not in shown
    assert shown.startswith("Incorrect key ")
    assert shown.endswith(". See docs")


@pytest.mark.parametrize(
    "text",
    ["Authorization: Bearer abcdefgh123", "https://x.example/v1?a=1&key=abcdefgh123", "Basic YWJjOmRlZmdo"],
)
def test_credentials_are_masked_unasked(text: str) -> None:
    """A token after its scheme and a key in a URL are masked though nobody named them."""
    assert clean(text).endswith("***")


def test_a_secret_is_not_left_half_by_the_cut() -> None:
    """Masking comes before cutting."""
    assert KEY[:5] not in clean("x" * 95 + KEY, secrets=[KEY], limit=100)


def test_html_is_reduced_to_its_text() -> None:
    """Tags, styles and scripts go; the title stands in where nothing is shown; entities are resolved."""
    page = (
        b"<!DOCTYPE html><html><head><title>502</title><style>b{}</style></head>"
        b"<body><h1>Bad &amp; ugly</h1>\n<script>x<1</script>nginx</body></html>"
    )
    assert excerpt(page, "text/html; charset=utf-8") == "Bad & ugly nginx"
    assert excerpt(page) == "Bad & ugly nginx"
    assert excerpt(b"<html><head><title>Sign in</title></head></html>") == "Sign in"
    assert excerpt(b"a < b > c", "text/plain") == "a < b > c"


def test_a_large_body_is_cut() -> None:
    """The limit is 2 KB unless said otherwise, and never splits a character."""
    shown = excerpt("é".encode() * 1_000_000)
    assert len(shown.encode()) <= EXCERPT_LIMIT
    assert shown.endswith("é…")


@pytest.mark.parametrize(
    "body",
    [b"<script " * 300_000, b"<!--" * 500_000, b"<" * 2_000_000, b"&amp" * 500_000, b"Bearer " * 300_000],
)
def test_hostile_html_takes_no_time(body: bytes) -> None:
    """Two megabytes that no pattern likes are done before anyone notices."""
    started = time.perf_counter()
    excerpt(body, "text/html")
    assert time.perf_counter() - started < 1
