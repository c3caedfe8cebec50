"""Which plugin contracts this core serves."""

from __future__ import annotations

from modelhub.errors import PluginError
from modelhub.hookspecs import CONTRACT, CONTRACTS

__all__ = ["AUTHOR_MENDS", "IncompatibleContract", "check_contract"]

AUTHOR_MENDS = "the plugin's author must mend it"


class IncompatibleContract(PluginError):
    """The plugin was written for a contract that this core cannot serve."""


def check_contract(declared: object) -> None:
    """Refuse a contract that this core cannot serve.

    Raises:
        IncompatibleContract: Too new, too old, or no number.
    """
    if isinstance(declared, int) and declared in CONTRACTS:
        return
    if isinstance(declared, int) and declared > CONTRACT:
        message = f"it was written for contract {declared}; this modelhub serves {CONTRACT} at most"
        raise IncompatibleContract(message, remedy="upgrade modelhub-core, or install an older version of the plugin")
    message = f"it was written for contract {declared!r}; this modelhub serves {CONTRACTS.start} to {CONTRACT}"
    raise IncompatibleContract(message, remedy="install a newer version of the plugin")
