"""Misspells a hook of a class that marks by name."""

from modelhub.provider import ModelProvider, ProviderContext


class Provider(ModelProvider):
    """Would never validate anything."""

    async def validate_provider_credential(self, context: ProviderContext) -> None:
        """Check the key."""
