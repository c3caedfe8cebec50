"""Every key of a TOML text is found in the line in which it was written, however the text is laid out."""

import random
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelhub.configuration.lines import lines_of
from modelhub.configuration.problems import Keys

WHOLE = '''\
# settings
title = "x"

[plugins]
deny = ["a",
  "b",  # ] not the end
  "c"]
text = """
[not.a.table]
key = "not a key"
"""
[plugins.prefer]
acme = "modelhub-acme"

[[credentials.acme]]
id = "one"
values = { api_key = "k", nested = { deep = 1 } }
[[credentials.acme]]
id = "two"
  [credentials.acme.values]
  api_key = "k"
  [[credentials.acme.rows]]
  x = 1
  [[credentials.acme.rows]]
  x = 2
[models."acme/large".pricing]
input = 1
[routes]
main.groups = [
  ["a"],
  [
    "b",
    "c",
  ],
]
"quoted key" = 1
'literal' = 1
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("title",), 2),
        (("plugins",), 4),
        (("plugins", "deny"), 5),
        (("plugins", "deny", 0), 5),
        (("plugins", "deny", 1), 6),
        (("plugins", "deny", 2), 7),
        (("plugins", "text"), 8),
        (("plugins", "prefer", "acme"), 13),
        (("credentials",), 15),
        (("credentials", "acme", 0), 15),
        (("credentials", "acme", 0, "values", "nested", "deep"), 17),
        (("credentials", "acme", 1), 18),
        (("credentials", "acme", 1, "id"), 19),
        (("credentials", "acme", 1, "values", "api_key"), 21),
        (("credentials", "acme", 1, "rows", 0, "x"), 23),
        (("credentials", "acme", 1, "rows", 1, "x"), 25),
        (("models", "acme/large", "pricing", "input"), 27),
        (("models",), 26),
        (("routes", "main"), 29),
        (("routes", "main", "groups", 0), 30),
        (("routes", "main", "groups", 1), 31),
        (("routes", "main", "groups", 1, 0), 32),
        (("routes", "main", "groups", 1, 1), 33),
        (("routes", "quoted key"), 36),
        (("routes", "literal"), 37),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_stands_in_a_text_is_found(keys: Keys, line: int, end: str) -> None:
    """Tables, lists of tables, inline tables, dotted keys, items of lists over several lines."""
    assert lines_of(WHOLE.replace("\n", end), [keys]) == {keys: line}


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("plugins", "allow"), 4),
        (("plugins", "deny", 7), 5),
        (("credentials", "acme", 5, "id"), 15),
        (("credentials", "other"), 15),
        (("models", "acme/large", "label"), 26),
    ],
)
def test_what_is_not_there_has_the_line_of_what_is_above_it(keys: Keys, line: int) -> None:
    """A key that is missing is missed where it would stand."""
    assert lines_of(WHOLE, [keys]) == {keys: line}


def test_what_has_nothing_above_it_has_no_line() -> None:
    """A table that was never begun stands nowhere."""
    assert lines_of(WHOLE, [("timeouts", "total"), ()]) == {}


def test_all_that_is_wanted_is_found_at_once() -> None:
    """One walk serves every complaint."""
    wanted: list[Keys] = [("routes", "literal"), ("title",), ("plugins", "deny", 1)]
    assert lines_of(WHOLE, wanted) == {("routes", "literal"): 37, ("title",): 2, ("plugins", "deny", 1): 6}


def test_the_work_is_bounded() -> None:
    """A list of many lines costs no more than the bound, and then has the line of its key."""
    text = "first = 1\nlong = [\n" + '  [["]"], "]"],\n' * 60_000 + "]\nlast = 1\n"
    assert lines_of(text, [("first",)]) == {("first",): 1}
    assert lines_of(text, [("last",)]).get(("last",)) in {None, 60_004}


def test_what_is_deeper_than_is_looked_into_has_the_line_of_its_key() -> None:
    """Not a wrong one."""
    text = "first = 1\ndeep = [[[[[\n[\n1,\n2]]]]]]\n"
    assert lines_of(text, [("deep", 0, 0, 0, 0, 0, 1)]) == {("deep", 0, 0, 0, 0, 0, 1): 2}
    keys = ("a",) * 100
    assert lines_of(f"x = 1\n{'.'.join(keys)} = 1", [keys]) == {keys: 2}


class Writer:
    """Writes a document of its own making as TOML, and remembers the line of everything."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.text = ""
        self.lines: dict[Keys, int] = {}
        self.document: dict[str, Any] = {}
        self._names = 0

    def note(self, keys: Keys) -> None:
        """Remember that something, and whatever it is the first part of, is written here."""
        for length in range(1, len(keys) + 1):
            self.lines.setdefault(keys[:length], self.text.count("\n") + 1)

    def name(self) -> str:
        """Make a key that no other has."""
        self._names += 1
        return self.chance.choice(["k{}", "a b{}", "é{}", "x]{}", "#{}", "p/m.{}"]).format(self._names)

    def key(self, name: str) -> str:
        """Write a key, in quotes where it must be."""
        if name.startswith("k") and self.chance.random() < 0.7:
            return name
        return self.chance.choice([f'"{name}"', f"'{name}'"])

    def scalar(self) -> Any:
        """Write a value without parts."""
        value, text = self.chance.choice(
            [
                (1, "1"),
                (True, "true"),
                ("[x] # no", '"[x] # no"'),
                ('"]', "'\"]'"),
                ("a\n] = [\n[t]\nk = 1\n", '"""\na\n] = [\n[t]\nk = 1\n"""'),
                ("'\n}", "'''\n'\n}'''"),
                ("", '""'),
            ]
        )
        self.text += text
        return value

    def value(self, keys: Keys, depth: int) -> Any:
        """Write a value, with the lines of its parts."""
        kind = self.chance.random()
        if depth == 0 or kind < 0.5:
            return self.scalar()
        if kind < 0.8:
            return self.items(keys, depth)
        self.text += "{ "
        found = {}
        for number in range(self.chance.randrange(3)):
            self.text += ", " if number else ""
            name = self.name()
            self.note((*keys, name))
            self.text += f"{self.key(name)} = "
            found[name] = self.value((*keys, name), depth - 1)
        self.text += " }"
        return found

    def items(self, keys: Keys, depth: int) -> list[Any]:
        """Write a list, with or without its items in lines of their own."""
        self.text += "["
        found = []
        for number in range(self.chance.randrange(4)):
            self.text += self.chance.choice(["", "", " ", "\n  ", "\n\n  # ]\n", " # [\n"])
            self.note((*keys, number))
            found.append(self.value((*keys, number), depth - 1))
            self.text += self.chance.choice([",", " ,", "\n,"])
        self.text += self.chance.choice(["", "\n"]) + "]"
        return found

    def pairs(self, keys: Keys, table: dict[str, Any]) -> None:
        """Write the keys and values of a table."""
        for _ in range(self.chance.randrange(4)):
            name = self.name()
            dotted = [name, self.name()] if self.chance.random() < 0.2 else [name]
            self.note((*keys, *dotted))
            self.text += self.chance.choice(["", "  "]) + ".".join(map(self.key, dotted)) + " = "
            value = self.value((*keys, *dotted), 3)
            table[name] = {dotted[1]: value} if len(dotted) > 1 else value
            self.text += self.chance.choice(["\n", " # ] }\n", "\n\n", "\n# a [comment]\n"])

    def table(self, keys: Keys, names: Sequence[str], table: dict[str, Any], depth: int) -> None:
        """Write what is in a table, then the tables in it."""
        self.pairs(keys, table)
        for _ in range(self.chance.randrange(3) if depth else 0):
            name = self.name()
            head = ".".join(map(self.key, [*names, name]))
            if self.chance.random() < 0.5:
                self.note((*keys, name))
                self.text += f"[{head}]\n"
                table[name] = {}
                self.table((*keys, name), [*names, name], table[name], depth - 1)
                continue
            table[name] = [{} for _ in range(self.chance.randrange(1, 4))]
            for number, row in enumerate(table[name]):
                self.note((*keys, name, number))
                self.text += f"[[{head}]] # \n"
                self.table((*keys, name, number), [*names, name], row, depth - 1)


@settings(max_examples=120, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_line_that_is_found_is_the_line_that_was_written(chance: random.Random) -> None:
    """For everything in any document: tables, lists of tables, keys, items, parts of inline tables."""
    writer = Writer(chance)
    writer.table((), [], writer.document, 3)
    assert tomllib.loads(writer.text) == writer.document  # the writer writes what it says
    assert lines_of(writer.text, list(writer.lines)) == writer.lines


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.lists(st.lists(st.text(max_size=3) | st.integers(0, 3), max_size=3)))
def test_no_text_and_no_keys_are_too_odd(text: str, wanted: list[list[str | int]]) -> None:
    """What cannot be found has no line; nothing is raised, and every line is one of the text."""
    found = lines_of(text, [tuple(keys) for keys in wanted])
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
