"""The event loops that the tests claim to run on."""

import pytest
import sniffio


@pytest.mark.anyio
async def test_a_test_runs_on_the_loop_it_is_named_after(anyio_backend_name: str) -> None:
    """A test marked anyio runs on each backend in truth: no other plugin takes it for its own loop."""
    assert sniffio.current_async_library() == anyio_backend_name


@pytest.mark.asyncio
async def test_a_test_marked_asyncio_runs_on_asyncio() -> None:
    """A test marked asyncio is run by pytest-asyncio."""
    assert sniffio.current_async_library() == "asyncio"
