"""The one wall between the exceptions of the HTTP libraries and ours."""

from __future__ import annotations

import ssl

import h11
import httpcore

from modelhub.errors import ConfigurationError, ConnectFailed, ConnectionLost, MalformedResponse, ModelHubError
from modelhub.http.seam import ReadLimits
from modelhub.rules.endpoint import Endpoint

__all__ = ["translated"]


def translated(error: Exception, limits: ReadLimits, endpoint: Endpoint | None = None) -> ModelHubError:
    """Return what a library's exception means: to whom, and whether the request was sent."""
    where = f" to {endpoint.url}" if endpoint else ""
    reason = str(error) or type(error).__name__
    match error:
        case ModelHubError():
            return error
        case httpcore.ConnectTimeout() | httpcore.PoolTimeout():
            return limits.expired("connect", sent=False)
        case httpcore.TimeoutException():
            return limits.expired("read", sent=True)
        case httpcore.ConnectError() | httpcore.ProxyError() | ssl.SSLError():
            return ConnectFailed(
                f"no connection{where}: {reason}",
                sent=False,
                remedy="check that the server runs and the address is right",
            )
        case httpcore.RemoteProtocolError() if "peer closed" not in reason and "disconnected" not in reason:
            return MalformedResponse(f"the server{where} does not speak HTTP as it must: {reason}", sent=True)
        case httpcore.NetworkError() | httpcore.RemoteProtocolError() | OSError():
            return ConnectionLost(f"the connection{where} broke: {reason}", sent=True)
        case (
            h11.LocalProtocolError()
            | httpcore.LocalProtocolError()
            | httpcore.UnsupportedProtocol()
            | UnicodeError()
            | TypeError()
        ):
            return ConfigurationError(
                f"the request cannot be sent: {reason}", remedy="mend the header or path that it names"
            )
        case _:
            return ConnectionLost(f"the connection{where} failed: {reason}", sent=None)
