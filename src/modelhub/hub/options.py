"""The keywords of the verbs, written once for the hub and for bound models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from modelhub.types.parameters import ChatParameters, Vendor

if TYPE_CHECKING:
    from modelhub.types.json import JSON
    from modelhub.types.records import Progress
    from modelhub.types.requests import OnInterrupt
    from modelhub.types.tools import Tool, ToolChoice, ToolFunction

__all__ = ["CallOptions", "ChatOptions", "Credentials", "JSONFormat", "StreamOptions", "Target"]

Target: TypeAlias = str | Sequence[str]
"""``"provider/model"``, or several in order of preference."""

Credentials: TypeAlias = "Mapping[str, JSON] | Sequence[Mapping[str, JSON] | str]"
"""The form's values, flat, or several to try: flat, as ``{"id": …, "values": {…}}``, or base URLs alone."""

JSONFormat: TypeAlias = "Mapping[str, JSON] | str"
"""A JSON Schema, or ``"json"`` for any JSON."""


class CallOptions(TypedDict, total=False):
    """Keywords that every verb takes.

    Attributes:
        timeout: Seconds for the whole call.
        credentials: Values over those configured, for this call and the first provider that it names only. A base URL
            among them is taken for one that a user typed: it may lead to public hosts over https, and to what
            ``egress.allow`` names in the settings.
        vendor: Provider-specific parameters by provider id.
        progress: Told how far long things have come, such as loading a model.
        session: What belongs together: with ``pick = "sticky"`` it is served by one deployment, while that is well.
    """

    timeout: float | None
    session: str
    credentials: Credentials | None
    vendor: Vendor
    progress: Callable[[Progress], None]


class ChatOptions(CallOptions, ChatParameters, total=False):
    """Keywords of ``chat`` and ``stream``: those of every verb, the neutral parameters, and these.

    Attributes:
        system: Instructions to put before the conversation.
        tools, tool_choice: Tools the model may ask for, and how it must choose.
    """

    system: str | None
    tools: Sequence[Tool | ToolFunction[..., object]]
    tool_choice: ToolChoice | None


class StreamOptions(ChatOptions, total=False):
    """Keywords of ``stream``: those of ``chat``, and this one.

    Attributes:
        on_interrupt: What becomes of an answer that breaks off after its first content. ``raise``: `StreamInterrupted`.
            ``restart``: a `Reset` event, after which the answer comes anew, whatever came before it being void.
            ``continue``: a deployment of the same model goes on where it broke off, if the answer is plain text.
    """

    on_interrupt: OnInterrupt
