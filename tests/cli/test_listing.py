"""`providers`, `models`, `validate`: what there is, without an answer."""

import json
from typing import Any

ACME = "acme\tAcme\tllm, text-embedding\tinstalled\tmodelhub-acme 2.5"


def test_providers_are_lines_between_tabs(cli: Any) -> None:
    """In a pipe each provider is a line, in order of their ids, and stderr is empty."""
    ran = cli("providers")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == ACME
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == ["acme", "local_model", "ollama_local"]
    assert ran.err == ""


def test_labels_and_states_are_in_the_users_language(cli: Any) -> None:
    """The manifest's label and the state's word, by the locale."""
    ran = cli("providers", environment={"LC_ALL": "id_ID.UTF-8"})
    assert ran.out.splitlines()[0] == "acme\tAkme\tllm, text-embedding\tterpasang\tmodelhub-acme 2.5"


def test_providers_in_json_have_the_facts(cli: Any) -> None:
    """States by their stable names, whatever the language."""
    first = cli("providers", "--json", environment={"MODELHUB_LANG": "id"}).document["providers"][0]
    assert (first["id"], first["label"], first["state"]) == ("acme", "Akme", "discovered")
    assert (first["distribution"], first["version"]) == ("modelhub-acme", "2.5")
    assert first["operations"] == ["pull", "fail"]


def test_loading_tells_which_work(cli: Any) -> None:
    """With `--load` a provider is ready, or says why not."""
    states = {each["id"]: each["state"] for each in cli("providers", "--load", "--json").document["providers"]}
    assert states["acme"] == "ready"


def test_models_are_listed(cli: Any) -> None:
    """Those of a type, with their facts; a provider that has none now says nothing in a pipe."""
    ran = cli("models", "list", "local_model", "--type", "llm")
    assert ran.out.startswith("smollm2-135m-instruct\tSmolLM2 135M Instruct")
    assert ran.out.rstrip("\n").endswith("\tfree\t")
    assert cli("models", "list", "acme").out == ""
    assert cli("models", "list", "local_model", "--json").document["models"][0]["model_type"] == "llm"


def test_a_type_that_is_none_is_refused(cli: Any) -> None:
    """The message lists the six types."""
    ran = cli("models", "list", "acme", "--type", "chat")
    assert ran.code == 2
    assert "error: --type: 'chat' is no model type; the types are llm, text-embedding, rerank" in ran.err


def test_a_model_tells_what_it_takes(cli: Any) -> None:
    """Its facts, then its parameters; in JSON its whole schema."""
    ran = cli("models", "show", "acme/echo")
    assert ran.code == 0
    assert ran.out.startswith("Model  acme/echo\nType   llm\n")
    assert "temperature\tfloat\t0 … 2\t\tTemperature" in ran.out
    assert "max_tokens\tint\t1 …\t\t" in ran.out
    schema = cli("models", "show", "acme/echo", "--type", "llm", "--json").document["model"]
    assert schema["model_type"] == "llm"
    assert schema["parameter_rules"][0]["max"] == 2


def test_unknown_names_bring_the_nearest(cli: Any) -> None:
    """The core knows which names are near."""
    ran = cli("models", "list", "acne")
    assert ran.code == 1
    assert ran.err == "error: there is no provider 'acne'\n  remedy: did you mean 'acme'?\n"
    error = cli("models", "show", "acne/x", "--json").document["error"]
    assert (error["type"], error["remedy"]) == ("UnknownProvider", "did you mean 'acme'?")


def test_credentials_pass_stage_by_stage(cli: Any) -> None:
    """What passed has a tick; the form is the first stage."""
    ran = cli("validate", "acme", "--set", "api_key=right-key", "--set", "region=west", "--model", "echo")
    assert ran.code == 0
    assert ran.out == "✓ form\n✓ server reached\n✓ model echo\nThe credentials of acme work.\n"


def test_what_is_wrong_is_said_of_its_field(cli: Any) -> None:
    """The field by its label, what is wrong and what to do; exit code 1."""
    ran = cli("validate", "acme", "--set", "api_key=wrong-key", environment={"LANG": "id_ID"})
    assert ran.code == 1
    assert ran.out == (
        "✓ formulir\n✓ server reached\n✗ Kunci API (api_key): it is refused\n  solusi: get another one\n"
    )
    document = cli("validate", "acme", "--set", "region=north", "--json").document
    assert document["ok"] is False
    assert document["stages"] == []
    assert "west, east" in document["errors"]["region"]
    assert document["error"]["type"] == "CredentialsInvalid"


def test_what_the_form_refuses_is_said_in_the_users_language(cli: Any) -> None:
    """All of it at once, each by its field's label; programs get the codes."""
    wrong = ("validate", "acme", "--set", "region=north", "--set", "aip_key=x")
    ran = cli(*wrong, environment={"LANG": "id_ID"})
    assert ran.code == 1
    assert ran.out == (
        "✗ aip_key: apakah maksud Anda 'api_key'?\n✗ Wilayah (region): harus salah satu dari west, east\n"
    )
    assert cli(*wrong, "--json").document["problems"] == [
        {"path": "aip_key", "code": "unknown_near", "message": "did you mean 'api_key'?"},
        {"path": "region", "code": "not_option", "message": "it must be one of west, east"},
    ]


def test_ticks_are_plain_where_the_encoding_lacks_them(process: Any) -> None:
    """No character fails to print."""
    ran = process("validate", "acme", environment={"PYTHONIOENCODING": "ascii"})
    assert ran.out.startswith("+ form\n")
    assert process("chat", "acme/echo", "✓", environment={"PYTHONIOENCODING": "ascii"}).out == "user: \\u2713\n"


def test_json_is_ascii_where_the_encoding_is_narrow(process: Any) -> None:
    """A document stays valid JSON in every encoding."""
    ran = process("providers", "--json", environment={"PYTHONIOENCODING": "ascii", "MODELHUB_LANG": "zh_CN"})
    assert json.loads(ran.out)["providers"][0]["label"] == "阿克梅"
