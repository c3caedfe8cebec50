"""Is for a contract of the future, as its class says."""

from modelhub.provider import ModelProvider


class Provider(ModelProvider):
    """Too new."""

    contract = 99
