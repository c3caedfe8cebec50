"""Every exception that reaches a caller, and nothing else.

::

    ModelHubError
    ├── ConfigurationError       the application's own settings or arguments cannot be used
    │   ├── UnknownProvider      no plugin registers that provider id
    │   ├── UnknownModel         the provider knows no such model
    │   └── EgressRefused        no connection may be made to where the base URL leads
    ├── PluginError              a plugin failed in a way that is its own fault
    ├── CredentialsInvalid       a credential form is not filled in as it must be; ``fields`` says where
    ├── StreamNotFinished        ``stream.result`` was read before the stream's end
    ├── BadRequest               the request can never succeed as it is
    │   ├── ContextLengthExceeded    too long for this model
    │   ├── RequestTooLarge          too many bytes for this server
    │   ├── ContentFiltered          refused by the vendor's policy
    │   └── UnsupportedFeature       this model or server cannot do what was asked
    ├── AuthenticationFailed     the key is wrong or missing
    ├── PermissionDenied         the key is right and may not do this
    │   └── RegionBlocked            not from this country
    ├── QuotaExhausted           paid quota is used up; waiting does not help
    ├── RateLimited              too many requests or tokens per time; waiting helps
    ├── ModelNotFound            the server does not serve this model
    │   └── ModelRetired             and never will again
    ├── Overloaded               the endpoint has no capacity now
    ├── ServerError              the endpoint failed
    ├── ConnectFailed            no connection was made; nothing was sent
    ├── ConnectionLost           the connection broke after sending
    ├── Timeout                  a limit of time was reached; ``phase`` says which
    ├── MalformedResponse        the endpoint answered something that its protocol does not allow
    │   └── OutputInvalid            the model's answer has not the shape that was asked for; ``partial`` holds it
    ├── StreamInterrupted        a stream broke off after its first content; ``partial`` holds what came
    ├── NoDeploymentAvailable    nothing is left to try
    │   ├── LocalRateLimited         our own limit of requests or tokens per time is reached
    │   ├── QueueFull                too many calls wait already
    │   ├── CircuitOpen              every deployment has failed too often lately
    │   ├── DeadlineExceeded         it could not be served in the time that was left
    │   └── BudgetExceeded           our own budget of money is used up
    └── UnclassifiedError        an answer that no rule knows

Two attributes decide everything that is done about an error: ``scope`` (who is at fault) and ``retry`` (what may
be tried next).
Cancellation is no error here: the async library's own exception passes through.

Most have a second base from `modelhub.dify`, for code that catches errors by Dify's names.
"""

from __future__ import annotations

from modelhub.errors.local import (
    BudgetExceeded,
    CircuitOpen,
    ConfigurationError,
    CredentialsInvalid,
    DeadlineExceeded,
    EgressRefused,
    LocalRateLimited,
    NoDeploymentAvailable,
    PluginError,
    QueueFull,
    StreamNotFinished,
    UnknownModel,
    UnknownProvider,
)
from modelhub.errors.remote import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    ConnectionLost,
    ContentFiltered,
    ContextLengthExceeded,
    MalformedResponse,
    ModelNotFound,
    ModelRetired,
    OutputInvalid,
    Overloaded,
    PermissionDenied,
    Phase,
    QuotaExhausted,
    RateLimited,
    RegionBlocked,
    RequestTooLarge,
    ServerError,
    StreamInterrupted,
    Timeout,
    UnclassifiedError,
    UnsupportedFeature,
)
from modelhub.errors.root import ModelHubError, Retry, Scope

__all__ = [
    "AuthenticationFailed",
    "BadRequest",
    "BudgetExceeded",
    "CircuitOpen",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "ContentFiltered",
    "ContextLengthExceeded",
    "CredentialsInvalid",
    "DeadlineExceeded",
    "EgressRefused",
    "LocalRateLimited",
    "MalformedResponse",
    "ModelHubError",
    "ModelNotFound",
    "ModelRetired",
    "NoDeploymentAvailable",
    "OutputInvalid",
    "Overloaded",
    "PermissionDenied",
    "Phase",
    "PluginError",
    "QueueFull",
    "QuotaExhausted",
    "RateLimited",
    "RegionBlocked",
    "RequestTooLarge",
    "Retry",
    "Scope",
    "ServerError",
    "StreamInterrupted",
    "StreamNotFinished",
    "Timeout",
    "UnclassifiedError",
    "UnknownModel",
    "UnknownProvider",
    "UnsupportedFeature",
]

for _each in [value for name, value in vars().items() if name in __all__ and isinstance(value, type)]:
    _each.__module__ = __name__  # where it is public: what tracebacks, pickles and the documentation say
