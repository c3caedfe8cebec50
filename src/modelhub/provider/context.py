"""`ProviderContext`: all that a plugin is given, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar, final

from modelhub.errors import ConfigurationError
from modelhub.http.client import HttpClient
from modelhub.http.seam import ReadLimits
from modelhub.provider.threads import iterate_in_thread, reports_of_thread, run_in_thread
from modelhub.types.credential import Credential
from modelhub.types.records import Progress

__all__ = ["ProviderContext"]

P = ParamSpec("P")
T = TypeVar("T")


@final
class ProviderContext:
    """What a hook works with; made for one attempt.

    Attributes:
        credential: The filled-in form.
        session: What the plugin's ``open`` yielded, or ``None``.
        limits: The attempt's limits of time; `http` keeps them by itself.
        clock: A monotonic clock, in seconds.
        cache_dir: A folder for what the plugin may fetch again; it may not exist yet.
    """

    __slots__ = (
        "__weakref__",
        "_http",
        "_progress",
        "cache_dir",
        "clock",
        "credential",
        "limits",
        "provider",
        "session",
    )

    def __init__(
        self,
        *,
        provider: str,
        credential: Credential,
        limits: ReadLimits,
        clock: Callable[[], float],
        cache_dir: Path,
        progress: Callable[[Progress], None],
        http: HttpClient | None = None,
        session: object = None,
    ) -> None:
        self.provider: str = provider
        self.credential: Credential = credential
        self.limits: ReadLimits = limits
        self.clock: Callable[[], float] = clock
        self.cache_dir: Path = cache_dir
        self.session: object = session
        self._http = http
        self._progress = progress

    @property
    def log(self) -> logging.Logger:
        """The plugin's logger. Asked for when it is wanted: most calls have nothing to say."""
        return logging.getLogger(f"modelhub.providers.{self.provider}")

    @property
    def http(self) -> HttpClient:
        """Requests, joined to the credential's endpoint, authenticated and classified.

        Raises:
            ConfigurationError: The credential has no endpoint.
        """
        if self._http is None:
            message = f"provider {self.provider!r} has no endpoint to send requests to"
            raise ConfigurationError(message, remedy="its form needs a field with role: endpoint, and a value in it")
        return self._http

    @property
    def open_http(self) -> HttpClient | None:
        """The client behind `http`, for whoever must close it; ``None`` where there is no endpoint."""
        return self._http

    @property
    def deadline(self) -> float | None:
        """When the caller wants to have heard, by `clock`; ``None`` where no such limit was set."""
        return self.limits.deadline

    def progress(self, progress: Progress) -> None:
        """Report how far something long has come. May be called from any thread."""
        self._progress(progress)

    async def blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a thread. If the wait is cancelled, the function is left to end by itself."""
        return await run_in_thread(partial(function, *args, **kwargs), name=f"{self.provider} blocking")

    async def cancellable(self, function: Callable[[], T], on_cancel: Callable[[], object]) -> T:
        """Run a blocking function in a thread.

        If the wait is cancelled, ``on_cancel`` makes the function end, and it is waited for.
        """
        return await run_in_thread(function, name=f"{self.provider} blocking", on_cancel=on_cancel)

    def iterate(
        self, generator: Iterator[T], *, on_cancel: Callable[[], object] | None = None
    ) -> AsyncGenerator[T, None]:
        """Yield the items of a blocking generator, which runs in a thread.

        Args:
            generator: Runs in a thread of its own, which also closes it.
            on_cancel: Called when the consumer stops early; it must make the generator end soon.
        """
        return iterate_in_thread(generator, name=f"{self.provider} generator", on_cancel=on_cancel)

    def reports(
        self, function: Callable[[Callable[[T], None]], object], *, on_cancel: Callable[[], object]
    ) -> AsyncGenerator[T, None]:
        """Run a blocking function in a thread and yield what it reports, until it returns.

        Args:
            function: Is given what to report with; that never blocks.
            on_cancel: Called when the consumer stops early; it must make the function end soon.
        """
        return reports_of_thread(function, name=f"{self.provider} operation", on_cancel=on_cancel)

    def __repr__(self) -> str:
        return f"<ProviderContext {self.provider}: {self.credential!r}>"
