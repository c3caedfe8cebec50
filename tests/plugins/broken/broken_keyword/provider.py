"""Takes an argument by keyword only."""

from modelhub.provider import ModelProvider, ProviderContext


class Provider(ModelProvider):
    """Would fail at its first call."""

    async def list_models(self, *, context: ProviderContext) -> list[object]:
        """List the models."""
        return []
