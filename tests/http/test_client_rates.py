"""What an answer's headers say of rate limits is kept, for whoever sends the next request."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from modelhub.errors import RateLimited
from modelhub.http.seam import HttpCall
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer
from modelhub.wire.rate_headers import RateFact, RateFacts

pytestmark = pytest.mark.anyio

CALL = HttpCall("/x", json={})
FIVE_LEFT = {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "2s"}
NONE_LEFT = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}


async def test_the_last_answer_says_what_remains(client_to: Any) -> None:
    """Answers and refusals alike are read; one that says nothing leaves nothing."""
    replies = [Reply(body="{}", headers=FIVE_LEFT), Reply(429, headers=NONE_LEFT), Reply(body="{}")]
    async with WireServer(replies) as server, client_to(server.url) as client:
        assert client.rate is None
        await client.json(CALL)
        assert client.rate == RateFacts(RateFact(remaining=5.0, reset=2.0))
        with pytest.raises(RateLimited):
            await client.json(CALL)
        assert client.rate == RateFacts(RateFact(remaining=0.0, reset=1.0))
        await client.json(CALL)
        assert client.rate is None


async def test_a_date_is_one_without_the_servers_own_clock(client_to: Any) -> None:
    """Where an answer does not say what time it is there, it is as late as it is here."""
    headers = {"x-ratelimit-remaining-requests": "0"}
    headers["x-ratelimit-reset-requests"] = formatdate(time.time() + 30, usegmt=True)
    async with WireServer(Reply(body="{}", headers=headers)) as server, client_to(server.url) as client:
        await client.json(CALL)
    assert client.rate.requests.remaining == 0
    assert 25 < client.rate.requests.reset <= 30
