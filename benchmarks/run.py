"""What modelhub costs beside what one would use without it, in one table.

``python benchmarks/run.py`` measures everything in one to two minutes; name groups to measure only those; ``--quick``
does little of everything and shows that the benchmarks work, not what things cost. ``--save NAME`` writes the figures
to ``benchmarks/results/NAME.json``; ``--strict`` fails where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from catalogue import catalogue
from slices import SECTIONS, Effort, measured
from startup import discovery, imports

RESULTS = Path(__file__).with_name("results")
GROUPS = ("calls", "streams", "import", "discovery", "catalogue")
THOROUGH = Effort()
QUICK = Effort(turns=1, calls=10, calls_each=1, burst=200, paced=20, paced_turns=1, processes=1)
PACKAGES = ("modelhub-core", "modelhub-ollama-local", "httpx", "httpcore", "ollama", "aiohttp", "orjson")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A line of the table: the hub beside something else.

    Attributes:
        name, title: What was measured.
        beside: What the hub is compared with.
        unit: Of ``theirs`` and ``ours``, which are medians.
        ratio: The median of the ratios within each turn.
        at_most: The target; ``None`` where the comparison is only for the reader.
    """

    name: str
    title: str
    beside: str
    unit: str
    theirs: float
    ours: float
    ratio: float
    at_most: float | None

    @property
    def missed(self) -> bool:
        """Whether there is a target and it was missed."""
        return self.at_most is not None and self.ratio > self.at_most


def compared(
    name: str,
    title: str,
    unit: str,
    *,
    slices: Mapping[str, Sequence[float]],
    targets: Mapping[str, float | None],
    ours: str = "modelhub",
) -> Iterator[Comparison]:
    """Compare one of the things measured with each of the others that ``targets`` names."""
    for beside, at_most in targets.items():
        ratio = statistics.median(one / other for one, other in zip(slices[ours], slices[beside], strict=True))
        medians = (statistics.median(slices[beside]), statistics.median(slices[ours]))
        yield Comparison(name, title, beside, unit, *medians, ratio, at_most)


def run(groups: Sequence[str], effort: Effort) -> Iterator[Comparison]:
    """Measure the groups, yielding each comparison as soon as it is known."""
    own: dict[str, Sequence[float]] = {}
    for section in SECTIONS:
        if section.group in groups:
            slices = measured(section, effort)
            own[section.name] = slices[section.ours]
            yield from compared(
                section.name, section.title, "µs", slices=slices, targets=section.targets, ours=section.ours
            )
    if "calls" in groups:
        title, many = "  … 500 at once, beside one at a time", "500 at once"
        slices = {"one at a time": own["call_1"], many: own["call_500"]}
        yield from compared("rise", title, "µs", slices=slices, targets={"one at a time": 1.2}, ours=many)
    if "import" in groups:
        slices = imports(effort.processes)
        title = "from modelhub import ModelHub, UserMessage"
        yield from compared("import", title, "ms", slices=slices, targets={"import httpx": 0.6})
        title = "  … and a hub entered"
        yield from compared("enter", title, "ms", slices=slices, ours=title, targets={"AsyncClient()": None})
    if "discovery" in groups:
        slices = discovery(effort.processes)
        for name, title in (("scan", "100 plugins found"), ("find", "  … and one looked up")):
            yield from compared(name, title, "ms", slices=slices, ours=title, targets={"entry_points()": 1.5})
    if "catalogue" in groups:
        slices = catalogue(effort.processes)
        for name, title, beside in (
            ("lookup", "one of 2,000 models looked up", "its YAML parsed"),
            ("list", "all 2,000 models read", "all YAML parsed"),
        ):
            yield from compared(name, title, "ms", slices=slices, ours=title, targets={beside: 3.5})


def shown(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Print the table line by line while it is measured."""
    print(f"{'CPU time of the client process':<43}{'beside':<17}{'its':>9}{'ours':>9}     ratio  target")
    done: list[Comparison] = []
    for each in comparisons:
        title = each.title if not done or done[-1].title != each.title else ""
        target = "" if each.at_most is None else f"≤ {each.at_most:<4g} {'MISSED' if each.missed else 'met'}"
        figures = f"{each.theirs:>9.1f}{each.ours:>9.1f} {each.unit} {each.ratio:>7.2f}"
        print(f"{title:<43}{each.beside:<17}{figures}  {target}".rstrip(), flush=True)
        done.append(each)
    return done


def save(name: str, comparisons: Sequence[Comparison], effort: Effort) -> Path:
    """Write the figures, and what they were measured with."""
    document = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {package: version(package) for package in PACKAGES},
        "effort": asdict(effort),
        "comparisons": [asdict(each) for each in comparisons],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def main() -> int:
    """Read the arguments, measure, and say what was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="little of everything; the figures mean nothing")
    parser.add_argument("--save", metavar="NAME", help="write the figures to benchmarks/results/NAME.json")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a target is missed")
    given = parser.parse_args()
    if unknown := set(given.groups) - set(GROUPS):
        parser.error(f"there is no group {min(unknown)!r}: they are {', '.join(GROUPS)}")
    effort = QUICK if given.quick else THOROUGH
    comparisons = shown(run(given.groups or GROUPS, effort))
    if given.save:
        print(f"saved as {save(given.save, comparisons, effort)}")
    return int(given.strict and any(each.missed for each in comparisons))


if __name__ == "__main__":
    sys.exit(main())
