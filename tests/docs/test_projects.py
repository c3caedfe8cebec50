"""The plugins that the pages build up: packed into a wheel, unpacked as an installer would, and used.

The README and the page for those who come from Dify each hold a whole plugin in their blocks marked ``file: PATH``. The
tutorial, in both languages, shows the files of examples/own_provider.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelhub.manifest.lint import lint
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, Request
from modelhub.testing.wire_server import ThreadedWireServer

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "own_provider"
TUTORIALS = [REPOSITORY / "docs" / "tutorial-provider.md", REPOSITORY / "docs" / "id" / "menulis-provider.md"]
FILE = re.compile(r"<!-- file: (?P<path>[^\n]+) -->\n```[a-z]+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
LAST_STEP = re.compile(
    r"<!-- not run: the plugin is not installed[^\n]*\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def files_on(page: Path) -> dict[str, str]:
    """Return the files that a page shows, by their paths."""
    return {found["path"]: found["text"] for found in FILE.finditer(page.read_text("utf-8"))}


def written(project: Path, page: Path) -> None:
    """Write the files that a page shows into a folder."""
    for path, text in files_on(page).items():
        target = project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def installed(project: Path, site: Path) -> None:
    """Build a project's wheel and unpack it, which is what an installer does with it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(site)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=30)
    (wheel,) = site.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


def run(*arguments: str, folder: Path, site: Path, **environment: str) -> str:
    """Run Python with a site folder and return its output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def openai_shaped(request: Request) -> Reply:
    """Answer as recorded from a real server; a key is wanted."""
    if request.headers.get("authorization") != "Bearer secret-key":
        return Reply(401, {"content-type": "application/json"}, '{"error": {"message": "no key", "code": 401}}')
    kind = "v1-chat-stream" if b'"stream":true' in request.body else "v1-chat"
    return recorded(REPOSITORY / "tests" / "fixtures" / "ollama" / f"{kind}.json")


STREAMED = """
import asyncio
from modelhub import ModelHub

async def main():
    async with ModelHub() as hub:
        async with hub.stream("llama_server/any", "Hi", max_tokens=24) as stream:
            texts = [text async for text in stream.text()]
        print(len(texts), stream.result.finish_reason, stream.result.usage.output_tokens)
        history = [{"role": "user", "content": "Hi"}, stream.result.message, {"role": "user", "content": "More"}]
        await hub.chat("llama_server/any", history)
        for info in await hub.providers():
            print(info.id, info.state, info.notices)

asyncio.run(main())
"""


@pytest.mark.timeout(240)
def test_the_plugin_of_the_readme_works(tmp_path: Path) -> None:
    """It installs from its wheel, answers whole and streamed, sends its key, and counts what the server counts."""
    project, site = tmp_path / "project", tmp_path / "site"
    written(project, REPOSITORY / "README.md")
    installed(project, site)
    with ThreadedWireServer(openai_shaped) as server:
        settings = {"MODELHUB_LLAMA_SERVER_BASE_URL": server.url, "MODELHUB_LLAMA_SERVER_API_KEY": "secret-key"}
        whole = run("try_it.py", folder=project, site=site, **settings)
        streamed = run("-c", STREAMED, folder=project, site=site, **settings)
    assert whole.split()[-1].isdecimal()
    assert " stop " in streamed or " length " in streamed
    assert "llama_server ready ()" in streamed


MOVED = """
import asyncio
from modelhub import ModelHub
from modelhub.testing.replies import ndjson_reply
from modelhub.testing.wire_server import WireServer

async def main():
    answer = ndjson_reply([{"text": "Hello"}, {"end": "stop", "read": 1000, "written": 10}])
    async with WireServer(answer) as server:
        settings = {"credentials": {"acme": {"api_key": "k-123456", "endpoint_url": server.url}}}
        async with ModelHub(settings) as hub:
            async with hub.stream("acme/acme-1", "Hi", max_tokens=5) as stream:
                text = "".join([piece async for piece in stream.text()])
            notices = [info.notices for info in await hub.providers(load=True) if info.id == "acme"]
    (asked,) = server.requests
    print(text, stream.result.cost.total.normalize(), notices)
    print(asked.headers["authorization"], asked.json["max_new_tokens"])

asyncio.run(main())
"""


@pytest.mark.timeout(240)
def test_the_plugin_moved_from_dify_works(tmp_path: Path) -> None:
    """In the layout it had: nothing is wrong with its files, and its model streams, by its key and with its price."""
    project, site = tmp_path / "project", tmp_path / "site"
    written(project, REPOSITORY / "docs" / "coming-from-dify.md")
    assert list(lint(project)) == []
    installed(project, site)
    assert run("-c", MOVED, folder=tmp_path, site=site) == "Hello 0.000156 [()]\nBearer k-123456 5\n"


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the plugin of the tutorial and return the site folder."""
    site = tmp_path_factory.mktemp("site")
    installed(EXAMPLE, site)
    return site


@pytest.mark.timeout(240)
def test_the_plugin_of_the_tutorial_passes_its_tests(tutorial: Path, tmp_path: Path) -> None:
    """Its author runs them in the same way, outside of this repository."""
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    assert "17 passed" in run("-m", "pytest", "-q", folder=tmp_path, site=tutorial)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", TUTORIALS, ids=["en", "id"])
def test_the_tutorials_last_step_works(page: Path, tutorial: Path, ollama: str, tmp_path: Path) -> None:
    """The program at its end finds the installed plugin, checks the credentials and streams."""
    (program,) = LAST_STEP.findall(page.read_text("utf-8"))
    program = program.replace("http://localhost:11434", ollama)
    assert "Usage(input_tokens=" in run("-c", program, folder=tmp_path, site=tutorial)


@pytest.mark.parametrize(("page", "language"), [*zip(TUTORIALS, ["en", "id"], strict=True)], ids=["en", "id"])
def test_lint_says_what_the_tutorial_shows(page: Path, language: str, tmp_path: Path) -> None:
    """Of the example as it is, and with the template that the page misspells, in the page's language."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    manifest = tmp_path / "src" / "modelhub_my_ollama" / "provider.yaml"
    command = [sys.executable, "-m", "modelhub", "lint", "."]
    for template in ("max_tokens", "max_token"):
        text = manifest.read_text("utf-8").replace("use_template: max_tokens", f"use_template: {template}")
        manifest.write_text(text, "utf-8")
        environment = {**os.environ, "MODELHUB_LANG": language}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=50, check=False
        )
        said = done.stdout.partition("\n\n")[0].strip()
        assert said
        assert f"{said}\n```" in page.read_text("utf-8")


@pytest.mark.parametrize("page", TUTORIALS, ids=["en", "id"])
def test_the_tutorial_shows_the_files_of_the_example(page: Path) -> None:
    """Each file of the example stands on the page of each language, letter by letter."""
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text("utf-8")
        for path in EXAMPLE.rglob("*")
        if path.suffix in {".py", ".toml", ".yaml"} and path.stat().st_size
    }
    assert files_on(page) == files
