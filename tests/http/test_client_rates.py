"""What an answer's headers say of rate limits is told when its head comes, for whoever sends the next request."""

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


async def test_each_answer_says_what_remains(client_to: Any) -> None:
    """Answers and refusals alike are read; of one that says nothing, nothing is told."""
    told: list[RateFacts] = []
    replies = [Reply(body="{}", headers=FIVE_LEFT), Reply(429, headers=NONE_LEFT), Reply(body="{}")]
    async with WireServer(replies) as server, client_to(server.url) as client:
        client.on_rates = told.append
        await client.json(CALL)
        with pytest.raises(RateLimited):
            await client.json(CALL)
        await client.json(CALL)
    assert told == [RateFacts(RateFact(remaining=5.0, reset=2.0)), RateFacts(RateFact(remaining=0.0, reset=1.0))]


async def test_a_date_is_one_without_the_servers_own_clock(client_to: Any) -> None:
    """Where an answer does not say what time it is there, it is as late as it is here."""
    headers = {"x-ratelimit-remaining-requests": "0"}
    headers["x-ratelimit-reset-requests"] = formatdate(time.time() + 30, usegmt=True)
    told: list[RateFacts] = []
    async with WireServer(Reply(body="{}", headers=headers)) as server, client_to(server.url) as client:
        client.on_rates = told.append
        await client.json(CALL)
    ((requests,),) = ((each.requests,) for each in told)
    assert requests is not None
    assert requests.remaining == 0
    assert requests.reset is not None
    assert 25 < requests.reset <= 30
