"""`models list` and `models show`: which models there are, what they cost, when they end and what they take."""

from pathlib import Path
from typing import Any

import pytest
from tests.canary import CANARY

pytestmark = pytest.mark.usefixtures("harbour")


def test_models_that_end_are_marked(cli: Any) -> None:
    """With the day and what takes their place, in the user's language; in a pipe the columns are always the same."""
    rows = {line.split("\t")[0]: line.split("\t") for line in cli("models", "list", "harbour").out.splitlines()}
    assert rows["crane"] == [
        "crane",
        "Crane",
        "llm",
        "131072",
        "tool-call, vision",
        "$1.25 / $10.00 per million tokens",
        "",
    ]
    assert rows["winch"][-1] == "withdrawn since Jun 1, 2020; use crane"
    told = cli("models", "list", "harbour", environment={"MODELHUB_LANG": "id"}).out
    assert "ditarik sejak 1 Jun 2020; pakai crane" in told
    assert "US$1,25 / US$10,00 per sejuta token" in told


def test_a_model_that_will_end_is_deprecated(cli: Any, tmp_path: Path) -> None:
    """Until the day has come; a model may be deprecated without one."""
    settings = tmp_path / "modelhub.toml"
    settings.write_text(
        '[models."harbour/crane"]\ndeprecation = { date = 2999-12-31, reason = "It is old." }\n'
        '[models."harbour/hook"]\ndeprecated = true\n'
    )
    keys = {"MODELHUB_HARBOUR_BASE_URL": "http://127.0.0.1:1", "MODELHUB_HARBOUR_API_KEY": CANARY}
    lines = cli("models", "list", "harbour", environment=keys).out.splitlines()
    rows = {line.split("\t")[0]: line.split("\t") for line in lines}
    assert rows["crane"][-1] == "deprecated, ends on Dec 31, 2999; It is old."
    assert rows["hook"][-1] == "deprecated"


def test_a_model_is_shown_with_everything(cli: Any) -> None:
    """Properties, tiers and times of prices, ranges, templates, conditions, and the form that must be filled in."""
    told = cli("models", "show", "harbour/crane").out
    for line in (
        "Name      Crane",
        "Context   131,072",
        "mode      chat",
        "prompt\t$2.50 per million tokens\tabove 200,000 tokens",
        "answer\t$9.00 per million tokens\tfrom Jan 1, 2020, until Jun 1, 2020",
        "temperature\tfloat\t0 … 2\t\tRandomness of the answer; 0 always takes the likeliest token.",
        "reasoning (thinking_budget)\tint\t1,024 … 32,000\t\tTokens for thinking; only if temperature is not given",
        "api_key\tsecret\trequired\tAPI key: It begins with hb-.",
        "berths\tnumber\toptional if plan is large\tBerths",
    ):
        assert line in told


def test_a_model_is_shown_in_the_users_language(cli: Any) -> None:
    """Numbers, money, days, conditions and the manifest's own words."""
    told = cli("models", "show", "harbour/crane", environment={"MODELHUB_LANG": "id"}).out
    for text in (
        "Nama     Derek",
        "131.072",
        "di atas 200.000 token",
        "mulai 1 Jan 2020, sampai 1 Jun 2020",
        "hanya jika temperature tidak diisi",
        "api_key\trahasia\twajib\tKunci API: Diawali hb-.",
        "opsional jika plan bernilai large",
    ):
        assert text in told


def test_conditions_are_told_in_words(cli: Any, tmp_path: Path) -> None:
    """All that a condition can say."""
    rule = (
        '{ name = "mood", type = "string", show_on = [{ any = [{ variable = "a", in = [1, 2] }, '
        '{ not = { variable = "b", value = true } }] }, { all = [{ variable = "c", exists = true }] }] }'
    )
    settings = tmp_path / "modelhub.toml"
    settings.write_text(f'[models."acme/echo"]\nparameter_rules = [{rule}]\n')
    assert "only if (a is one of 1, 2 or not (b is yes)) and c is given" in cli("models", "show", "acme/echo").out


def test_a_model_in_json_brings_the_form(cli: Any) -> None:
    """Programs get the whole schema, and the fields of the credentials it needs."""
    document = cli("models", "show", "harbour/crane", "--json").document
    assert document["model"]["pricing"]["tiers"][0]["above"] == 200000
    assert [field["variable"] for field in document["credentials"]][:2] == ["base_url", "api_key"]


def test_refreshing_asks_the_vendor_and_fails_with_it(cli: Any) -> None:
    """There is nothing to fall back on that was not asked for now."""
    gone = {"MODELHUB_OLLAMA_LOCAL_BASE_URL": "http://127.0.0.1:1"}
    ran = cli("models", "list", "ollama_local", "--refresh", environment=gone)
    assert ran.code == 1
    assert "no connection to http://127.0.0.1:1" in ran.err


def test_models_can_be_looked_at_before_there_is_a_key(cli: Any) -> None:
    """As the manifest has them, which is said; where it has none, or the vendor is to be asked, the key is wanted."""
    assert cli("validate", "harbour").code == 1
    ran = cli("models", "list", "harbour")
    assert (ran.code, [line.split("\t")[0] for line in ran.out.splitlines()]) == (0, ["crane", "winch"])
    assert "note: harbour has no credentials that can be used: these are the models of its manifest" in ran.err
    assert cli("models", "list", "harbour", "--refresh").code == 1
    missing = cli("models", "show", "harbour/cran")
    assert missing.code == 1
    assert "did you mean 'crane'?" in missing.err


@pytest.mark.parametrize("group", ["models", "credentials", "config"])
def test_a_group_tells_its_commands(cli: Any, group: str) -> None:
    """With nothing or `--help` behind it; and it takes the options of every command, wherever they stand."""
    ran = cli(group)
    assert ran.code == 0
    assert ran.out == cli(group, "--help").out
    assert f"Usage: modelhub {group} [OPTIONS] COMMAND [ARGS]..." in ran.out
    assert cli(group, "nonsense").code == 2


def test_options_may_stand_at_the_group(cli: Any) -> None:
    """Before its command's name, as before its own."""
    for words in (["--json", "models", "list"], ["models", "--json", "list"], ["models", "list", "--json"]):
        assert cli(*words, "harbour").document["provider"] == "harbour"


def test_help_lists_groups_among_the_commands(cli: Any) -> None:
    """In the order of the reference page."""
    words = [
        line.split()[0] for line in cli("--help").out.partition("Commands:\n")[2].splitlines() if line[2:3].strip()
    ]
    assert words[:5] == ["providers", "models", "credentials", "config", "validate"]
