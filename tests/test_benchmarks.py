"""The benchmarks run: what they say of costs is for people to read, that they still work is for this test."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

REPOSITORY = Path(__file__).parent.parent
BENCHMARKS = REPOSITORY / "benchmarks"


def run(*arguments: str, script: str = "run.py") -> subprocess.CompletedProcess[str]:
    """Run the benchmarks as `make bench` does."""
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.timeout(70)
def test_a_quick_run_fills_the_table_and_writes_nothing() -> None:
    """Every client does its work to the end, every comparison is there, and no file is."""
    before = set(BENCHMARKS.glob("results/*"))
    done = run("--quick")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[43:60].strip() for line in lines[1:]] == [
        *("bare httpx", "official client", "bare aiohttp") * 2,
        "bare aiohttp",
        "modelhub",
        *("bare httpx", "official client", "bare aiohttp") * 2,
        "one at a time",
        "import httpx",
        "AsyncClient()",
        *("entry_points()",) * 2,
        "its YAML parsed",
        "all YAML parsed",
    ]
    assert set(BENCHMARKS.glob("results/*")) == before


def test_an_unknown_group_is_refused_by_name() -> None:
    """A misspelt group is not passed over in silence."""
    done = run("stream")
    assert done.returncode == 2
    assert "there is no group 'stream'" in done.stderr


@pytest.mark.timeout(70)
def test_a_quick_simulation_of_routing_fills_its_tables_and_draws(tmp_path: Path) -> None:
    """Every way to pick is simulated in every case, the seeds are said, and the picture has all bars."""
    picture = tmp_path / "routing.svg"
    done = run("--quick", "--seeds", "7", "--plot", str(picture), script="routing.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("seeds 7, 400 calls each")
    picks = [line for line in done.stdout.splitlines() if "servers, " in line]
    assert len(picks) == 6
    assert all(line.count(" / ") == 6 for line in picks)
    assert done.stdout.count("adaptive, ejecting") == 3
    assert done.stdout.count("µs, at most") == 2
    assert ET.parse(picture).getroot().tag.endswith("svg")
    assert picture.read_text("utf-8").count('class="value"') == 36


@pytest.mark.timeout(70)
def test_thousands_of_calls_to_nodes_that_fail_leave_nothing_behind() -> None:
    """A short soak ends as the long one must: without more memory, a socket or a task than before."""
    done = run("--calls", "2000", "--at-once", "200", "--seed", "1", script="soak.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 calls in" in done.stdout
    assert "whole" in done.stdout
    assert "left early" in done.stdout


@pytest.mark.timeout(70)
def test_the_table_of_sick_nodes_is_printed() -> None:
    """A sickness has its lines, and no caller notices it."""
    done = run("--calls", "40", "cuts off", script="scenarios.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("falls sick") == 2
    assert done.stdout.count("on_interrupt=") == 2
