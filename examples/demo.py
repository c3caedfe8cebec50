"""The demonstration: a real answer, streamed, with its figures; then an answer in the shape of a class.

It runs on the small model that comes with the development environment, in this process: no server, no key, no
network. Run it with ``make demo``; ``MODELHUB_LANG=id make demo`` speaks Indonesian.
"""

import sys
from dataclasses import dataclass

import anyio

from modelhub import ChatResult, ModelHub, ModelHubError, Progress
from modelhub.cli.texts import language

MODEL = "local_model/smollm2-135m-instruct"
QUESTION = "Explain in two sentences what a plugin is in software."
SENTENCE = "Siti is 34 years old and lives in Bandung."
TERMINAL = sys.stdout.isatty()

ENGLISH = {
    "where": "in this process: no server, no key, no network",
    "streamed": "1. An answer, as it comes",
    "shaped": "2. An answer in the shape of a class",
    "figures": "{input} tokens in, {output} out · first token after {first:.2f} s · {speed:.0f} tokens/s",
    "error": "error: {message}",
}
INDONESIAN = {
    "where": "di dalam proses ini: tanpa server, tanpa kunci, tanpa jaringan",
    "streamed": "1. Jawaban, selagi datang (model kecil ini hanya paham bahasa Inggris)",
    "shaped": "2. Jawaban dalam bentuk sebuah kelas",
    "figures": "{input} token masuk, {output} keluar · token pertama setelah {first:.2f} d · {speed:.0f} token/d",
    "error": "galat: {message}",
}
TEXTS = INDONESIAN if language() == "id" else ENGLISH


@dataclass
class Person:
    """The shape of the second answer; the model is held to its JSON Schema while it writes."""

    name: str
    age: int
    city: str


def styled(text: str, code: str) -> str:
    """Colour a text where that can be seen."""
    return f"\x1b[{code}m{text}\x1b[0m" if TERMINAL else text


def show_progress(progress: Progress) -> None:
    """Draw how far loading the model has come, over one line of the terminal."""
    if TERMINAL and progress.fraction is not None:
        bar = "━" * round(30 * progress.fraction)
        end = "\r\x1b[K" if progress.fraction == 1 else ""
        print(f"\r\x1b[K{progress.message} {bar:<30} {progress.fraction:4.0%}", end=end, flush=True)


def show_figures(result: ChatResult[object]) -> None:
    """Show what an answer used and how fast it came."""
    usage, timing = result.usage, result.timing
    if usage is None or timing is None or not usage.output_tokens:
        return
    seconds = timing.output or (timing.total or 0) - (timing.first_content or 0)
    figures = TEXTS["figures"].format(
        input=usage.input_tokens,
        output=usage.output_tokens,
        first=timing.first_content or 0,
        speed=usage.output_tokens / seconds,
    )
    print(styled(figures, "2"), end="\n\n")


async def streamed(hub: ModelHub) -> None:
    """Stream an answer: entering the stream waits for the first content, which is where loading shows."""
    print(styled(TEXTS["streamed"], "1"))
    print(styled(f"> {QUESTION}", "36"))
    async with hub.stream(MODEL, QUESTION, temperature=0, max_tokens=100) as stream:
        async for text in stream.text():
            print(text, end="", flush=True)
    print()
    show_figures(stream.result)


async def shaped(hub: ModelHub) -> None:
    """Stream JSON that is held to the shape of a class: at the end, ``output`` is an instance of it."""
    print(styled(TEXTS["shaped"], "1"))
    print(styled(f"> {SENTENCE}", "36"))
    question = f"Extract the data as JSON: {SENTENCE}"
    async with hub.stream(MODEL, question, response_format=Person, temperature=0, max_tokens=100) as stream:
        async for text in stream.text():
            print(text, end="", flush=True)
    print("\n→", styled(repr(stream.result.output), "32"))
    show_figures(stream.result)


async def main() -> None:
    """Run both parts with one hub; the second finds the model loaded."""
    print(styled(MODEL, "1"), f"· {TEXTS['where']}", end="\n\n")
    async with ModelHub(progress=show_progress) as hub:
        await streamed(hub)
        await shaped(hub)


if __name__ == "__main__":
    try:
        anyio.run(main)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  a demonstration ends with a line, not with a traceback
        what = str(error) if isinstance(error, ModelHubError) else f"{type(error).__name__}: {error}"
        sys.exit(TEXTS["error"].format(message=what))
