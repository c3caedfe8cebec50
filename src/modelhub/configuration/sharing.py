"""The Redis server that the settings name, with its password, if it has one, kept out of sight."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelhub.credentials.references import resolved
from modelhub.errors import ConfigurationError, CredentialsInvalid
from modelhub.types.secret import Secret

if TYPE_CHECKING:
    from modelhub.configuration.settings import Settings

__all__ = ["shared_url"]

_KEYS = ("sharing", "redis")
_URL = re.compile(r"(redis|rediss|unix)://.")


async def shared_url(settings: Settings) -> Secret | None:
    """Return the URL that ``[sharing] redis`` gives, or leads to; ``None`` where nothing is shared.

    Args:
        settings: The settings; what is relative in them is beside their file.

    Raises:
        ConfigurationError: It leads to nothing, or to no such URL; the message shows neither.
    """
    given = settings.sharing.redis
    if given is None:
        return None
    folder = settings.source.parent if settings.source is not None else None
    origin = settings.overridden.get(_KEYS) or settings.place(*_KEYS)
    try:
        url = (await resolved({"redis": given}, folder=folder))["redis"]
    except CredentialsInvalid as error:
        what, url = error.fields["redis"], None
    else:
        what = "it leads to no URL that begins with redis://, rediss:// or unix://"
    if isinstance(url, str) and _URL.match(url.strip()):
        return Secret(url.strip())
    del given, url  # so that no frame which holds them is shown with the error
    raise ConfigurationError(
        f"{origin}: [sharing] redis cannot be used: {what}",
        remedy="whoever runs the program must put the server's URL there, or take the key out",
    )
