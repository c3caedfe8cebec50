"""The native engine: llama.cpp in this process through the package xllamacpp.

Owns the configuration of xllamacpp's `Server`, its two kinds of calls, its end, and what it does to the
process. It does not own whose turn it is (`engine`) nor what the answers mean.

What was measured of xllamacpp 2026.10, and is dealt with here:
* Loading holds the interpreter's lock for its whole time, so all that need not be done in it is left out: no
  warming up, no fitting to the memory.
* Loading writes to the terminal unless it is told not to.
* The context is divided among the parallel answers; here each gets all that was promised.
* A long prompt is cancelled only between two batches, so batches are small, which costs nothing on a CPU.
* It keeps up to 8 GiB of old prompts in memory unless it is told not to.
* There is no call to count tokens: they are counted through the HTTP listener that every `Server` opens,
  which is on loopback and answers only to a random key.
* There is no call to close: dropping the last reference ends its threads and its listener. One that is
  dropped before its loop has begun to turn never ends, and holds the interpreter's lock for ever (one in
  seven, when dropped at once), so the constructor waits for a first answer of the loop.
* A thread that is inside when the interpreter ends aborts the process; so does a second engine in a process
  that was forked while one was open, and the end of such a process hangs.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final
from urllib.parse import urlsplit

from modelhub.errors import ConfigurationError, ServerError
from modelhub_local_model.gguf import GgufHeader
from modelhub_local_model.settings import EngineSettings

__all__ = ["NativeServer", "binding"]

_CONTEXT_STEP: Final = 256
_BATCH: Final = 64
_HTTP_TIMEOUT: Final = 60.0

# Facts about the process, which no object can own: a fork copies them without asking.
_open: Final[weakref.WeakSet[NativeServer]] = weakref.WeakSet()
_forked_while_open: Final = threading.Event()


@final
class NativeServer:
    """One loaded model in the native engine.

    The constructor blocks the whole interpreter while it loads (0.2 s for 100 MB in the page cache).

    Args:
        header: The checked file.
        settings: How to load it.
        context_size: Tokens that each answer may take.

    Raises:
        ConfigurationError: The engine is not installed, or this process cannot have one.
        ServerError: The engine cannot load the file.
    """

    __slots__ = ("__weakref__", "_address", "_key", "_server")

    def __init__(self, header: GgufHeader, settings: EngineSettings, *, context_size: int) -> None:
        if _forked_while_open.is_set():
            raise ConfigurationError(
                "This process was forked from one that had a model loaded, and the engine cannot start again in it",
                remedy="start processes before a model is loaded, or with the start method 'spawn'",
                code="engine_forked",
            )
        self._key = secrets.token_urlsafe(32)
        parameters = _parameters(header, settings, context_size=context_size, key=self._key)
        try:
            self._server: Any = binding().Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise ServerError(
                f"The engine cannot load {header.path}",
                remedy="it may not know this model yet, or the template may be wrong; verbosity 3 shows what it says",
                code="engine_load_failed",
            ) from error
        self._server.handle_metrics()  # answered by the loop: see above on a server that is dropped too early
        self._address = urlsplit(self._server.listening_address)
        _open.add(self)

    def complete(self, body: bytes, receive: Callable[[bytes], bool]) -> None:
        """Have an answer written, blocking; ``receive`` gets each piece, and returns whether that is enough."""
        self._server.handle_chat_completions(body, receive)

    def post(self, path: str, body: bytes) -> Any:
        """Ask the listener, and return the JSON that it answers with.

        Raises:
            ServerError: It does not answer, or not with JSON.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._address.port, timeout=_HTTP_TIMEOUT)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request("POST", path, body, headers)
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerError("The engine's listener did not answer", code="server_error") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Free the model. No `complete` may be running: it holds the server too, and would end it instead."""
        _open.discard(self)
        self._server = None

    def keep_for_ever(self) -> None:
        """Never end the server: in a forked process its destructor waits for threads that are not there."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))


def _guard_forked_process() -> None:
    """Keep a forked process from harm: what it has of the engine is a copy without threads."""
    if not _open:
        return
    _forked_while_open.set()
    for server in _open:
        server.keep_for_ever()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        # The engine's static objects wait for their threads when the process ends. glibc calls this before
        # them, with the status.
        libc.on_exit(libc._exit, None)  # noqa: SLF001  the C function of that name


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_guard_forked_process)


def _parameters(header: GgufHeader, settings: EngineSettings, *, context_size: int, key: str) -> Any:
    parameters = binding().CommonParams()
    parameters.model.path = str(header.path)
    parameters.model_alias = {header.path.stem}
    each = -(-context_size // _CONTEXT_STEP) * _CONTEXT_STEP
    parameters.n_ctx = each * settings.parallel
    parameters.n_parallel = settings.parallel
    parameters.n_batch = parameters.n_ubatch = max(_BATCH, settings.parallel)
    parameters.cpuparams.n_threads = settings.threads or _usable_cores()
    parameters.use_jinja = True
    if settings.chat_template is not None:
        parameters.chat_template = settings.chat_template
    parameters.warmup = parameters.fit_params = False
    parameters.cache_ram_mib = 0
    parameters.hostnames, parameters.port, parameters.api_keys = ["127.0.0.1"], 0, [key]
    parameters.n_threads_http = 1
    parameters.ui = parameters.endpoint_slots = False
    parameters.endpoint_metrics = True
    parameters.verbosity = settings.verbosity
    return parameters


def binding() -> ModuleType:
    """The package xllamacpp, imported as this plugin needs it.

    Raises:
        ConfigurationError: It is not installed, or a system library that it needs is not.
    """
    try:
        with _patient_threads():
            return import_module("xllamacpp")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "The engine is not installed", remedy="run `pip install xllamacpp`", code="engine_missing"
        ) from error
    except ImportError as error:  # a system library that the wheel expects
        raise ConfigurationError(
            f"The engine cannot be started on this system: {error}",
            remedy="install the library it names (libgomp.so.1: `apt install libgomp1` on Debian and Ubuntu)",
            code="engine_missing",
        ) from error


@contextmanager
def _patient_threads() -> Iterator[None]:
    """Have the engine's threads, which wait for each other hundreds of times a token, soon sleep at it.

    GNU's OpenMP library reads this when it is loaded. With its own default, whatever else wants the processor
    (this program's event loop, for one) makes an answer up to ten times slower: 3 to 20 tokens/s on two busy
    cores against 25 to 40, for a tenth less on idle ones. The user's own setting is left alone.
    """
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = "300"
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def _usable_cores() -> int:
    """Processor cores that this process may use: in a container its share, not the whole machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        share = max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        share = cores
    return min(cores, share)
