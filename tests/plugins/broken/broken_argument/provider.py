"""Misspells an argument."""

from modelhub.provider import ModelProvider, ProviderContext


class Provider(ModelProvider):
    """Would fail at its first call."""

    async def list_models(self, contxt: ProviderContext) -> list[object]:
        """List the models."""
        return []
