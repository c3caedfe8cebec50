"""`pull` and `operate`: steps as they are reported."""

from typing import Any


def test_pulling_tells_each_step_once(cli: Any) -> None:
    """Where nobody watches, a line on stderr for each step; stdout stays empty."""
    ran = cli("pull", "acme", "tiny")
    assert (ran.code, ran.out, ran.err) == (0, "", "layer one\ntiny is ready\n")
    assert cli("pull", "acme/tiny").err == ran.err


def test_pulling_in_json_tells_everything(cli: Any) -> None:
    """Each report on a line, and the end."""
    lines = cli("pull", "acme/tiny", "--json").lines
    assert [line["type"] for line in lines] == ["progress"] * 4 + ["done"]
    assert (lines[1]["completed"], lines[1]["total"]) == (500, 1000)


def test_a_pull_needs_a_model(cli: Any) -> None:
    """A provider alone names none."""
    ran = cli("pull", "acme")
    assert ran.code == 2
    assert "error: MODEL: it is missing" in ran.err


def test_operations_are_listed(cli: Any) -> None:
    """Without a name: what there is, and what it takes."""
    ran = cli("operate", "acme", environment={"MODELHUB_LANG": "id"})
    assert ran.out.splitlines() == ["pull\tUnduh model\tmodel\tMengunduh model.", "fail\t\t\t"]
    assert list(cli("operate", "acme", "--json").document["operations"]) == ["pull", "fail"]
    assert cli("operate", "acne").err.startswith("error: there is no provider 'acne'")


def test_an_operation_takes_what_its_manifest_says(cli: Any) -> None:
    """Values are JSON where they are; what is no pair, and what is not taken, is refused."""
    assert cli("operate", "acme", "pull", "model=7").err.endswith("7 is ready\n")
    assert "takes no argument 'size'" in cli("operate", "acme", "pull", "size=7").err
    assert cli("operate", "acme", "pull", "name=7").code == 2
    assert "'tiny' is not KEY=VALUE" in cli("operate", "acme", "pull", "tiny").err


def test_an_operation_that_fails_says_so(cli: Any) -> None:
    """After the steps that were made; an unknown one brings the names."""
    ran = cli("operate", "acme", "fail")
    assert ran.code == 1
    assert ran.err == "starting\nerror: acme: the registry is busy\n"
    assert "no operation 'pul'" in cli("operate", "acme", "pul").err
