"""What is told of an answer's usage, and how values become JSON."""

from decimal import Decimal
from typing import Any

import pytest

from modelhub.cli.documents import document_of
from modelhub.cli.failures import show_bug
from modelhub.cli.terminal import Terminal
from modelhub.cli.usage import spent, tokens_per_second, usage_line
from modelhub.types.cost import Cost
from modelhub.types.events import MediaDelta
from modelhub.types.forms import FormField
from modelhub.types.results import EmbedResult
from modelhub.types.schema import ModelType
from modelhub.types.usage import Timing, Usage


def answered(**facts: Any) -> EmbedResult:
    """Return a result with these facts."""
    return EmbedResult(vectors=[], model="acme/any", **facts)


def test_everything_known_is_told() -> None:
    """Tokens with what they were, money, times."""
    usage = Usage(1, 20, cached_tokens=5, reasoning_tokens=3, estimated=True)
    cost = Cost({"input": Decimal("0.00010"), "output": Decimal("0.0200")}, "USD")
    timing = Timing(output=2.0, first_content=0.5, total=2.5)
    assert usage_line(answered(usage=usage, cost=cost, timing=timing)) == (
        "acme/any · 1 token in · 5 of them cached · 20 tokens out · 3 of them reasoning · estimated · $0.0201 · "
        "first token after 0.50 s · 10.0 tokens/s · 2.50 s in all"
    )


def test_what_is_unknown_is_left_out() -> None:
    """Never a zero in its place."""
    assert usage_line(answered()) == "acme/any"
    assert usage_line(answered(usage=Usage(), timing=Timing())) == "acme/any"


def test_several_answers_cost_what_they_cost_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each currency for itself; what is not known is counted, and nothing at all is said where all of it is."""
    monkeypatch.setenv("MODELHUB_LANG", "en")
    dollars = Cost({"input": Decimal("0.25")}, "USD")
    euros = Cost({"input": Decimal(1)}, "EUR", unknown=("output",))
    assert spent([dollars, dollars]) == "$0.50 for 2 answers"
    assert spent([dollars, euros, None]) == "$0.25 + at least €1.00 for 3 answers · the cost of 1 of them is not known"
    assert spent([None, None]) == ""


@pytest.mark.parametrize(
    ("timing", "tokens", "expected"),
    [
        (Timing(output=2.0, first_content=1.0, total=9.0), 10, 5.0),
        (Timing(first_content=1.0, total=3.0), 11, 5.0),
        (Timing(first_content=1.0, total=1.0), 11, None),
        (Timing(first_content=1.0, total=3.0), 1, None),
        (Timing(total=3.0), 11, None),
        (Timing(first_content=1.0, total=1.0001), 200, None),
        (Timing(output=2.0), None, None),
    ],
)
def test_the_pace_is_the_servers_or_measured(timing: Timing, tokens: int | None, expected: float | None) -> None:
    """By the server's own clock; else from the first token on, which takes two and some time: not all at once."""
    assert tokens_per_second(timing, Usage(None, tokens)) == expected
    assert tokens_per_second(timing, None) is None


def test_values_become_json() -> None:
    """Types are named, labels localised, bytes base64, money exact, and nothing falls through."""
    assert document_of(MediaDelta(0, "image/png", b"\x00")) == {
        "type": "media",
        "part": 0,
        "mime": "image/png",
        "data": "AA==",
    }
    field = document_of(FormField("key", label={"en_US": "Key", "id_ID": "Kunci"}))
    assert isinstance(field, dict)
    assert (field["label"], field["required"]) == ("Key", True)
    assert document_of({ModelType.LLM: (Decimal("1.10"), {1})}) == {"llm": ["1.10", [1]]}
    assert document_of(ValueError("x")) == "x"


def test_an_accident_of_ours_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do about it; its traceback with `--debug`, its name in JSON."""
    assert show_bug(Terminal(), KeyError("x")) == 1
    assert capsys.readouterr().err == (
        "error: this should not have happened: KeyError: 'x'\n  remedy: report it with the output of --debug\n"
    )
    show_bug(Terminal(), KeyError("x"), debug=True)
    assert "KeyError: 'x'\nerror:" in capsys.readouterr().err
    show_bug(Terminal(json=True), KeyError("x"))
    assert capsys.readouterr().out == '{"error": {"type": "KeyError", "message": "\'x\'"}}\n'
