"""Misspells a hook that it marks."""

from modelhub.provider import hookimpl


@hookimpl
async def list_model() -> list[object]:
    """List the models."""
    return []
