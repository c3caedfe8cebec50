"""The wheels, built and looked into: a tree that works can still make a wheel that lacks its data."""

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PROJECTS = [REPOSITORY, *sorted(project.parent for project in REPOSITORY.glob("plugins/*/pyproject.toml"))]


@pytest.fixture(scope="module", params=PROJECTS, ids=["core", *(path.name for path in PROJECTS[1:])])
def project(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each distribution."""
    return Path(request.param)


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project's wheel, freshly built without network and isolation."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=15)
    (built,) = target.glob("*.whl")
    return built


def read(wheel: Path, name: str) -> str:
    """Return the text of a metadata file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def metadata(wheel: Path) -> Message:
    """Return the core metadata of a wheel."""
    return Parser().parsestr(read(wheel, "METADATA"))


def test_a_wheel_holds_every_file_of_its_package(project: Path, wheel: Path) -> None:
    """Code, manifests, `py.typed` and data arrive, and nothing from outside `src`."""
    source = project / "src"
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in files if "__pycache__" not in name}
    assert any(name.endswith("/py.typed") for name in packed)


def test_a_wheel_carries_its_licence_and_points_nowhere_local(wheel: Path) -> None:
    """The licence text is inside, and no dependency is a path or an address of the building machine."""
    assert read(wheel, "licenses/LICENSE").lstrip().startswith("Apache License")
    assert metadata(wheel)["License-Expression"] == "Apache-2.0"
    assert [line for line in metadata(wheel).get_all("Requires-Dist", []) if "@" in line] == []


def test_a_plugin_is_named_after_what_it_provides(project: Path, wheel: Path) -> None:
    """Distribution, package and entry point of a plugin spell one provider id."""
    if project == REPOSITORY:
        assert metadata(wheel)["Name"] == "modelhub-core"
        return
    entry_points = ConfigParser()
    entry_points.read_string(read(wheel, "entry_points.txt"))
    ((provider, target),) = entry_points["modelhub.providers"].items()
    assert provider == project.name
    assert target.startswith(f"modelhub_{provider}.")
    assert metadata(wheel)["Name"] == f"modelhub-{provider.replace('_', '-')}"
    assert any(line.startswith("modelhub-core") for line in metadata(wheel).get_all("Requires-Dist", []))
