"""The interpreter ends cleanly whatever the engine is doing, and llama.cpp never writes to the user's terminal."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]

BEGIN = """
import os, sys, threading, time
from pathlib import Path
from modelhub.errors import ModelHubError, ServerError
from modelhub_local_model.engine import Engine
from modelhub_local_model.settings import EngineSettings
from modelhub_local_model.engines import Engines
from modelhub_local_model.gguf import read_header
from modelhub_local_model.model_files import ModelFiles

def opened(engines):
    return engines.open(sys.argv[1], EngineSettings(threads=1), stop=threading.Event(), report=lambda _: None)

def read(generation):
    try:
        list(generation)
    except ServerError as error:
        assert error.code == "engine_closed"

request = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 5000, "ignore_eos": True}
engines = Engines(ModelFiles(Path("cache")))
engine = opened(engines).value
"""
ENDINGS = {
    "nobody reads": "",
    "a daemon reads": "threading.Thread(target=read, args=(generation,), daemon=True).start()",
    "exit status": "sys.exit(3)",
    "uncaught": "raise KeyError('mine')",
    "more wait": "[engine.generate(request) for _ in range(5)]",
    "own engine": "other = Engine(engine.header, EngineSettings(threads=1)); next(other.generate(request))",
    "cycle": "box = [engine, generation]; box.append(box); del engine, generation, engines",
}


WITH_THE_REAL_MODEL = {"nobody reads", "own engine", "cycle"}
"""The others are about the program's own end, and use a tiny model, which loads at once and writes as long."""


@pytest.mark.parametrize("ending", ENDINGS)
def test_ends_while_the_engine_writes(run_python: Run, default_model: Path, talkative_model: Path, ending: str) -> None:
    """A running answer does not abort the process, whoever reads it and however the program ends."""
    program = f"{BEGIN}\ngeneration = engine.generate(request)\nnext(generation)\n{ENDINGS[ending]}\n"
    ended = run_python(program, default_model if ending in WITH_THE_REAL_MODEL else talkative_model)
    expected = {"exit status": 3, "uncaught": 1}.get(ending, 0)
    assert ended.returncode == expected, ended.stderr
    assert ended.stdout == ""
    assert (ended.stderr == "") is (ending != "uncaught")
    assert "KeyError: 'mine'" in ended.stderr or ending != "uncaught"


def test_ends_while_a_prompt_is_read(run_python: Run, default_model: Path) -> None:
    """A long prompt that is being read does not hold up the end."""
    program = f"{BEGIN}\nrequest['messages'][0]['content'] *= 800\nengine.generate(request)\ntime.sleep(0.3)\n"
    ended = run_python(program, default_model)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_ends_while_a_model_is_loaded(run_python: Run, default_model: Path) -> None:
    """A load that is under way does not hold up the end."""
    program = f"""{BEGIN}
from modelhub_local_model.loading_steps import Stopped

def load():
    try:
        settings = EngineSettings(context_size=512, threads=1)
        engines.open(sys.argv[1], settings, stop=threading.Event(), report=lambda _: None)
    except Stopped:
        pass

threading.Thread(target=load, daemon=True).start()
time.sleep(0.05)
"""
    ended = run_python(program, default_model)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
request = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}

def in_child(check):
    child = os.fork()
    if child == 0:
        check()
        print("child", flush=True)
        sys.exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5

def answer():
    with opened(engines) as share:
        assert list(share.value.generate(request))

def refusal():
    for use in (lambda: engine.generate(request), lambda: engine.count_tokens(request), lambda: opened(engines)):
        try:
            use()
        except ModelHubError as error:
            print(error.code, end=" ")
        else:
            raise AssertionError
"""


def test_a_process_forked_while_a_model_is_loaded_says_what_to_do(run_python: Run, tiny_model: Path) -> None:
    """A fork cannot use its parent's engine nor have its own, says so, and both processes end cleanly."""
    program = f"{BEGIN}{FORK}\nlist(engine.generate(request))\nin_child(refusal)\nanswer()\nprint('parent')"
    ended = run_python(program, tiny_model)
    codes = "engine_closed engine_closed engine_forked"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{codes} child\nparent\n", "")


def test_a_process_forked_at_another_time_has_engines_of_its_own(run_python: Run, tiny_model: Path) -> None:
    """A fork before a model is loaded, or after it was closed, loads its own."""
    program = f"{BEGIN}{FORK}\nengines.close()\nin_child(answer)\nanswer()\nin_child(answer)\nprint('parent')"
    ended = run_python(program, tiny_model)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "child\nchild\nparent\n", "")


def test_nothing_is_written_to_the_terminal(
    run_python: Run, default_model: Path, write_gguf: Callable[..., Path]
) -> None:
    """Loading, answering, refusing, failing to load and closing write nothing to standard output or standard error."""
    program = f"""{BEGIN}
for extra in ({{"max_tokens": 3}}, {{"temperature": "hot"}}, {{"messages": "none"}}, {{"stop": [5]}}):
    try:
        list(engine.generate({{**request, "max_tokens": 3, **extra}}))
    except Exception:
        pass
try:
    Engine(read_header(Path(sys.argv[2])), EngineSettings())
except Exception:
    pass
engines.close()
"""
    ended = run_python(program, default_model, write_gguf())
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_engine_speaks_when_it_is_asked_to(run_python: Run, tiny_model: Path) -> None:
    """A verbosity of 3 shows what llama-server shows, on standard error or output."""
    program = f"{BEGIN}\nEngine(read_header(Path(sys.argv[1])), EngineSettings(verbosity=3, threads=1)).close()\n"
    ended = run_python(program, tiny_model)
    assert ended.returncode == 0
    assert "model loaded" in ended.stderr + ended.stdout


@pytest.mark.parametrize(("own", "expected"), [({}, "300"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_the_engines_threads_do_not_spin(run_python: Run, own: dict[str, str], expected: str) -> None:
    """The OpenMP library is told to let waiting threads sleep, unless the user has said something; nothing is left."""
    program = """
import os
before = dict(os.environ)
from modelhub_local_model.native import binding
assert binding() is binding()
assert dict(os.environ) == before
"""
    ended = run_python(program, OMP_DISPLAY_ENV="VERBOSE", **own)
    assert ended.returncode == 0, ended.stderr
    assert f"GOMP_SPINCOUNT = '{expected}'" in ended.stderr


def test_says_when_the_engine_is_not_installed(run_python: Run, tiny_model: Path) -> None:
    """Without the engine's package, or with one that cannot be loaded, one line says what to install."""
    for broken, said in (("None", "pip install xllamacpp"), ("Broken()", "apt install libgomp1")):
        program = f"""
import sys
from importlib.abc import MetaPathFinder
import modelhub.provider.file_lock  # and what it needs, before there is nothing any more

class Broken(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "xllamacpp":
            raise ImportError("libgomp.so.1: cannot open shared object file")

if {broken}:
    sys.meta_path.insert(0, Broken())
else:
    sys.path[:] = [path for path in sys.path if "site-packages" not in path]
{BEGIN}"""
        sources = {
            str(Path(sys.modules[name].__file__ or "").parents[1]) for name in ("modelhub", "modelhub_local_model")
        }
        ended = run_python(program, tiny_model, PYTHONPATH=os.pathsep.join(sources))
        assert said in ended.stderr.splitlines()[-1]
