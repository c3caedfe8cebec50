"""Fails when it is asked for its schema."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Has a manifest, and does not stop at that."""

    def provider_schema(self) -> None:
        """Fail."""
        raise OSError(13, "Permission denied", "/etc/acme.yaml")
