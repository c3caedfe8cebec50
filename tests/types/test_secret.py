"""A secret shows itself nowhere: only `reveal` gives its text."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.pretty import pretty_repr

from modelhub.types.secret import Secret

TEXT = "s3cr3t-0123456789-abcd"
SECRET = Secret(TEXT)


@dataclasses.dataclass
class Holder:
    """Something of an application's own that keeps a key."""

    key: Secret
    keys: dict[str, list[Secret]]


HOLDER = Holder(SECRET, {"a": [SECRET]})


def logged(message: str, *arguments: object) -> str:
    """Return what a log says."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.emit(logging.LogRecord("x", logging.INFO, __file__, 1, message, arguments, None))
    return stream.getvalue()


def traced() -> str:
    """Return a traceback with the variables of its frames."""
    held = HOLDER
    try:
        raise KeyError(held, SECRET)
    except KeyError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def printed_by_rich() -> str:
    """Return what rich prints of it, in a traceback with variables too."""
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    console.print(SECRET, HOLDER)
    console.log(HOLDER, log_locals=True)
    try:
        raise KeyError(SECRET)
    except KeyError:
        console.print_exception(show_locals=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "show",
    [
        lambda: repr(SECRET),
        lambda: str(SECRET),
        lambda: f"{SECRET} {SECRET!r} {SECRET!s} {SECRET!a}",
        lambda: f"{SECRET:>40}",
        lambda: "{0} {0!r}".format(SECRET),  # noqa: UP032  another way to the same
        lambda: "%s %r" % (SECRET, SECRET),  # noqa: UP031  likewise
        lambda: repr(HOLDER),
        lambda: str(dataclasses.asdict(HOLDER)),
        lambda: repr(dataclasses.astuple(HOLDER)),
        lambda: repr(dataclasses.replace(HOLDER, keys={})),
        lambda: repr(copy.copy(HOLDER)) + repr(copy.deepcopy(HOLDER)),
        lambda: repr([SECRET, {SECRET: SECRET}, (SECRET,), {SECRET}]),
        lambda: json.dumps({"key": SECRET}, default=str),
        lambda: pprint.pformat(HOLDER),
        lambda: pretty_repr(HOLDER),
        lambda: logged("%s %r", SECRET, HOLDER),
        lambda: str(vars(HOLDER)),
        lambda: str(ValueError(SECRET)) + repr(ValueError(SECRET)),
        lambda: str(dir(SECRET)),
        lambda: SECRET.masked,
        traced,
        printed_by_rich,
    ],
)
def test_nothing_that_shows_it_shows_its_text(show: Callable[[], str]) -> None:
    """Neither by itself nor inside of something else."""
    shown = show()
    assert shown
    assert TEXT[:8] not in shown


@pytest.mark.parametrize(
    "act",
    [
        json.dumps,
        pickle.dumps,
        lambda secret: pickle.dumps({"a": secret}, 0),
        len,
        iter,
        vars,
        bytes,
        int,
        lambda secret: secret[0],
        lambda secret: "s" in secret,
        lambda secret: secret + "x",
        lambda secret: "x" + secret,
        lambda secret: secret * 2,
        lambda secret: re.search("s3", secret),
        lambda secret: sorted([secret, secret]),
        lambda secret: secret.__getstate__(),
        lambda secret: secret.__reduce_ex__(4),
        open,
    ],
)
def test_it_is_no_text(act: Callable[[Any], object]) -> None:
    """What would take it apart, write it down or put it together with a text is refused, without showing it."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        act(SECRET)
    assert TEXT[:8] not in str(caught.value)


def test_reveal_gives_the_text() -> None:
    """The one way, easy to find in a review."""
    assert SECRET.reveal() == TEXT


def test_copies_are_the_secret_itself() -> None:
    """Nothing is written out on the way."""
    assert copy.copy(SECRET) is SECRET
    assert copy.deepcopy([SECRET])[0] is SECRET


@given(st.text(), st.text())
def test_secrets_are_equal_where_their_texts_are(one: str, other: str) -> None:
    """Any text can be one, and no text is equal to one."""
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one
    assert bool(Secret(one)) is bool(one)


def test_half_characters_are_compared_too() -> None:
    """Environment variables may hold bytes that are no text."""
    assert Secret("\udcff-key") == Secret("\udcff-key")
    assert Secret("\udcff-key") != Secret("\udcfe-key")


def test_its_size_tells_nothing() -> None:
    """Neither of the object nor of its mask."""
    assert sys.getsizeof(Secret("a")) == sys.getsizeof(Secret("a" * 1000))
    assert str(Secret("a")) == str(Secret("a" * 1000)) == "***"


@pytest.mark.parametrize(
    ("text", "masked"), [("", "***"), ("0123456789a", "***"), ("0123456789ab", "***89ab"), (TEXT, "***abcd")]
)
def test_people_see_four_characters_of_a_long_one(text: str, masked: str) -> None:
    """Enough to tell two keys apart, and nothing of one that is short."""
    assert Secret(text).masked == masked


@pytest.mark.parametrize("value", [5, None, b"bytes", ["list"]])
def test_only_a_text_can_be_one(value: Any) -> None:
    """The message says what was given and does not show it."""
    with pytest.raises(TypeError, match=f"not a {type(value).__name__}"):
        Secret(value)


class Settings(pydantic.BaseModel):
    """An application's own settings."""

    key: Secret


def test_a_field_of_a_pydantic_model_may_be_one() -> None:
    """It is read from a text and never written."""
    for settings in (Settings.model_validate({"key": TEXT}), Settings(key=SECRET)):
        assert settings.key == SECRET
        for shown in (settings, settings.model_dump(), settings.model_dump_json(), settings.model_copy()):
            assert TEXT[:8] not in f"{shown} {shown!r}"
    assert Settings.model_json_schema()["properties"]["key"]["type"] == "string"


def test_what_is_no_text_is_refused_by_a_pydantic_model() -> None:
    """As for any other field."""
    with pytest.raises(pydantic.ValidationError, match="a secret is a text, not a int"):
        Settings.model_validate({"key": 5})
