"""The benchmarks run: what they say of costs is for people to read, that they still work is for this test."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
BENCHMARKS = REPOSITORY / "benchmarks"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks as `make bench` does."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), *arguments]
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
        *("bare httpx", "official client", "bare aiohttp") * 2,
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
