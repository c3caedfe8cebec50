"""A small provider over HTTP, written as an author would write one, and a place to install plugins in."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.canary import CANARY

from modelhub import ModelType, ProviderSchema, Usage
from modelhub.provider import Credential, DecodeState, HttpCall, HttpLargeLanguageModel, ModelProvider
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.requests import ChatRequest


@pytest.fixture(autouse=True)
def this_machine_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let base URLs that come with calls lead to the servers of the tests, as an operator would allow it."""
    monkeypatch.setenv("MODELHUB_EGRESS_ALLOW", "127.0.0.0/8")


class LinesLLM(HttpLargeLanguageModel):
    """Speaks a line protocol: ``{"text": …}`` and at last ``{"end": …}``."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        texts = [message.content for message in request.messages]
        return HttpCall("/chat", json={"model": request.name, "texts": texts, "stream": request.stream})

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a line."""
        if "error" in document:
            raise state.error(document)
        if document.get("text"):
            yield TextDelta(state.part("text"), document["text"])
        if "end" in document:
            yield Finish(FinishReason.STOP, document["end"], Usage(3, document.get("tokens")))


class LinesProvider(ModelProvider):
    """A provider with a base URL, a key and any model name."""

    llm = LinesLLM
    auth: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (
            FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),
            FormField("api_key", "secret-input", required=False, default=CANARY),  # the key of every call
        )
        return ProviderSchema(
            "lines",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
        )


@pytest.fixture
def lines() -> type[LinesProvider]:
    """Give the provider class."""
    return LinesProvider


@dataclass(frozen=True)
class Installation:
    """A folder on the path, in which distributions lie as an installer leaves them.

    Attributes:
        folder: The folder.
    """

    folder: Path

    def add(
        self,
        id: str,
        *,
        manifest: str | None = "",
        code: str = "",
        distribution: str | None = None,
        version: str = "1.0",
        entry: str | None = None,
        package: str | None = None,
    ) -> Path:
        """Install a provider plugin.

        Args:
            id: The provider's id.
            manifest: Lines of the manifest beyond the id; ``None`` for no manifest at all.
            code: The module ``<package>.provider``, after its imports.
            distribution: The distribution's name; it is named after the package.
            version: The distribution's version.
            entry: The line of its entry points.
            package: The package; it is named after the id.

        Returns:
            The package's folder.
        """
        package = package or id
        folder = self.folder / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "provider.py").write_text(
            f"from modelhub.provider import *\nfrom modelhub.provider import ModelProvider, hookimpl\n{code}\n"
        )
        if manifest is not None:
            head = "" if "provider:" in manifest.splitlines() else f"provider: {id}\n"
            (folder / "provider.yaml").write_text(head + manifest)
        self.metadata(distribution or package, entry or f"{id} = {package}.provider:Provider", version=version)
        return folder

    def metadata(self, distribution: str, entry_points: str, *, version: str = "1.0") -> Path:
        """Write what an installer writes about a distribution."""
        folder = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(f"[modelhub.providers]\n{entry_points}\n")
        return folder


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """Put a folder on the path, and forget what was imported from it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield Installation(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
