"""Token estimates: near what tokenizers count, and a lower bound that no tokenizer is below."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.types.messages import AssistantMessage, MediaPart, ReasoningPart, TextPart, ToolCall, UserMessage
from modelhub.types.tools import Tool
from modelhub_ollama_local.tokens import IMAGE, estimated_prompt, estimated_text, least_prompt, least_text

ENGLISH = (
    "The river had been rising since the early morning, and by noon the lower fields were under water. Nobody in "
    "the village remembered such a flood, although the old people spoke of one that had carried away the mill."
)
INDONESIAN = (
    "Pemerintah daerah mengumumkan bahwa pembangunan jembatan baru akan dimulai pada bulan depan. Warga sekitar "
    "menyambut baik rencana itu karena selama ini mereka harus memutar jauh untuk menyeberangi sungai."
)
CHINESE = "春天来了，河边的柳树发出了新芽。孩子们在草地上奔跑，老人们坐在长椅上聊天。"  # noqa: RUF001  as it is written
CODE = (
    'def _taken(values: dict[str, int]) -> int:\n    """Add them."""\n    return sum(values[key] for key in values)\n'
)


# Counted with the tokenizers of SmolLM2 (49,000 entries, English) and multilingual E5 (250,000 entries).
@pytest.mark.parametrize(
    ("text", "fewest", "most"), [(ENGLISH, 40, 44), (INDONESIAN, 35, 78), (CHINESE, 26, 70), (CODE, 30, 40)]
)
def test_an_estimate_is_near_what_tokenizers_count(text: str, fewest: int, most: int) -> None:
    """It lies between a small vocabulary and a large one, a third either way."""
    assert fewest * 2 / 3 <= estimated_text(text) <= most * 4 / 3


@given(st.text())
@example("²㐀A")
def test_the_lower_bound_is_below_the_estimate(text: str) -> None:
    """What a text surely has is never more than what it probably has."""
    assert 0 <= least_text(text) <= estimated_text(text)


@given(st.text(), st.text())
def test_a_longer_text_has_no_fewer_tokens(text: str, more: str) -> None:
    """Both figures grow with the text."""
    assert estimated_text(f"{text} {more}") >= estimated_text(text)
    assert least_text(f"{text} {more}") >= least_text(text)


def test_a_blank_text_has_no_tokens() -> None:
    """Nothing is nothing."""
    assert estimated_text("") == least_text("") == 0


def test_a_prompt_counts_roles_tools_calls_reasoning_and_images(chat: Callable[..., Any]) -> None:
    """Everything that a template writes out is in the estimate."""
    plain = estimated_prompt(chat(UserMessage("Hello")))
    assert plain > estimated_text("Hello")
    tool = Tool("get_weather", "Current weather of a city")
    assert estimated_prompt(chat(UserMessage("Hello"), tools=[tool])) > plain + 5
    assert estimated_prompt(chat(UserMessage("Hello"), tools=[tool], tool_choice="none")) == plain
    image = MediaPart("image/png", b"x")
    assert estimated_prompt(chat(UserMessage([TextPart("Hello"), image]))) == plain + IMAGE
    call = ToolCall("1", "get_weather", {"city": "Rome"})
    said = AssistantMessage([ReasoningPart("I think"), call])
    assert estimated_prompt(chat(UserMessage("Hello"), said)) > plain + 8
    written = AssistantMessage([ReasoningPart("I think"), replace(call, raw_arguments='{"city":"Rome"}')])
    assert estimated_prompt(chat(UserMessage("Hello"), said)) == estimated_prompt(chat(UserMessage("Hello"), written))


def test_the_bound_of_a_prompt_counts_what_every_template_writes_out(chat: Callable[..., Any]) -> None:
    """Earlier reasoning and calls are left out by many."""
    said = AssistantMessage([ReasoningPart("one two three"), ToolCall("1", "f", {}), TextPart("four five")])
    assert least_prompt(chat(UserMessage("a b c d e"), said)) == least_text("a b c d e") + least_text("four five")


def test_the_bound_is_below_what_the_server_counted(recordings: Mapping[str, Any], chat: Callable[..., Any]) -> None:
    """In no recording of a whole prompt would it have raised an alarm."""
    checked = 0
    for recording in recordings.values():
        asked, answered = recording["request"].get("body"), recording["response"]["body"]
        if not isinstance(asked, dict) or not asked.get("messages") or "prompt_eval_count" not in answered:
            continue
        counted = int(answered.rpartition('"prompt_eval_count":')[2].split(",")[0].rstrip("}\n "))
        messages = [UserMessage(message["content"]) for message in asked["messages"]]
        assert least_prompt(chat(*messages)) <= counted
        checked += 1
    assert checked > 20
