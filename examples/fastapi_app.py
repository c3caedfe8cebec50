"""A web application around one hub: answers whole and streamed, each error with its own status.

Run it with ``uvicorn fastapi_app:app`` in this folder (``pip install fastapi uvicorn``), then::

    curl -N -X POST localhost:8000/stream -H 'content-type: application/json' -d '{"text": "Hello"}'
"""

import math
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from modelhub import ChatEvent, ChatResult, ModelHub, ModelHubError, Stream
from modelhub.errors import BadRequest, NoDeploymentAvailable, Overloaded, RateLimited, RequestTooLarge, Timeout

MODELS = os.environ.get("MODELS", "ollama_local/llama3 local_model").split()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, ModelHub]]:
    """Hold one hub as long as the application runs; each worker process has its own."""
    async with ModelHub() as hub:
        yield {"hub": hub}


app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    """What a client sends."""

    text: str


@app.exception_handler(ModelHubError)
async def refused(_request: Request, error: ModelHubError) -> JSONResponse:
    """Answer an error with the status that says whose fault it is."""
    match error:
        case RequestTooLarge():
            status = 413
        case BadRequest():
            status = 400
        case RateLimited() | Overloaded() | NoDeploymentAvailable():
            status = 503
        case Timeout():
            status = 504
        case _:
            status = 502 if error.scope in {"endpoint", "model"} else 500
    headers = {"retry-after": str(math.ceil(error.retry_after))} if error.retry_after else {}
    # The text of errors about keys and settings is for the operator, not for the client.
    detail = error.message if status in {400, 413} else type(error).__name__
    return JSONResponse({"detail": detail}, status, headers)


@app.post("/chat")
async def chat(question: Question, request: Request) -> dict[str, str]:
    """Answer all at once."""
    hub: ModelHub = request.state.hub
    reply = await hub.chat(MODELS, question.text, timeout=60)
    return {"text": reply.text, "model": reply.model}


class TextResponse(StreamingResponse):
    """Sends a stream's text as it comes, and leaves the stream whatever happens: a client that goes away, too."""

    def __init__(self, stream: Stream[ChatEvent, ChatResult[None]], stack: AsyncExitStack) -> None:
        super().__init__(stream.text(), media_type="text/plain; charset=utf-8")
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self._stack:
            await super().__call__(scope, receive, send)


@app.post("/stream")
async def stream(question: Question, request: Request) -> Response:
    """Answer in pieces. Entering the stream raises every error before the first content: no status was sent then."""
    hub: ModelHub = request.state.hub
    async with AsyncExitStack() as stack:
        answer = await stack.enter_async_context(hub.stream(MODELS, question.text))
        return TextResponse(answer, stack.pop_all())
