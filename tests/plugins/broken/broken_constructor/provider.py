"""Cannot be made without arguments."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Wants a key of whoever makes it."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
