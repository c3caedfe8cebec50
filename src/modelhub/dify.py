"""Names for code that was written for Dify's errors: ``except InvokeRateLimitError`` goes on to catch what it did.

They are real base classes of the errors in `modelhub.errors`, because ``except`` asks for nothing else, and they are
caught one by one, in tuples, and by ``isinstance``. Plugins raise the classes of `modelhub.errors`.

Errors that Dify has no counterpart of, such as the hub's own limits, have none of these bases.
"""

from __future__ import annotations

__all__ = [
    "CredentialsValidateFailedError",
    "InvokeAuthorizationError",
    "InvokeBadRequestError",
    "InvokeConnectionError",
    "InvokeError",
    "InvokeRateLimitError",
    "InvokeServerUnavailableError",
]


class InvokeError(Exception):
    """A call failed: the five below, and what no rule knows."""

    @property
    def description(self) -> str:
        """What happened, as Dify's errors say it."""
        return str(self)


class InvokeConnectionError(InvokeError):
    """No connection, one that broke, or a limit of time."""


class InvokeServerUnavailableError(InvokeError):
    """The endpoint failed, has no capacity, or answered what cannot be read."""


class InvokeRateLimitError(InvokeError):
    """Too many requests or tokens per time, or the quota is used up."""


class InvokeAuthorizationError(InvokeError):
    """The key is wrong, or may not do this."""


class InvokeBadRequestError(InvokeError):
    """The request cannot be served as it is, or names a model that is not there."""


class CredentialsValidateFailedError(Exception):
    """The credentials are not as they must be."""
