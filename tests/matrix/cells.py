# SPDX-License-Identifier: Apache-2.0
"""The cells of the matrix: who asks whom, and what a provider cannot do."""

from dataclasses import dataclass, replace

from tests.matrix.anthropic_client import AnthropicClient
from tests.matrix.gemini_client import GeminiClient
from tests.matrix.openai_client import OpenAIClient
from tests.matrix.seen import Client, Endpoint, Question, Seen

CLIENTS: dict[str, Client] = {c.name: c for c in (OpenAIClient(), AnthropicClient(), GeminiClient())}
PROVIDERS = ("openai", "anthropic", "gemini")
# The models behind each provider: one that answers at once, one that thinks first.
MODELS = {
    "openai": ("gpt-4.1", "gpt-5.2"),
    "anthropic": ("claude-sonnet-4-6", "claude-sonnet-4-6"),
    "gemini": ("gemini-2.5-flash", "gemini-3.1-pro"),
}
OWN = {"openai": "openai", "anthropic": "anthropic", "google-genai": "gemini"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One client in front of one provider, in one of two forms; `direct` is without a gateway between them."""

    client: Client
    provider: str
    plain: Endpoint
    thinker: Endpoint
    stream: bool
    direct: bool = False

    async def ask(self, question: Question, *, thinks: bool = False) -> Seen:
        """Ask in this cell's form."""
        endpoint = self.thinker if thinks else self.plain
        if self.stream:
            return await self.client.stream(endpoint, question)
        return self.client.ask(endpoint, question)

    def stop(self, meaning: str) -> str:
        """The client's word for a neutral stop."""
        return self.client.stops[meaning]

    def whole(self) -> "Cell":
        """The same cell with JSON answers."""
        return replace(self, stream=False)


@dataclass(frozen=True, slots=True)
class Impossible:
    """What a provider has no word for: the request is turned down and this field is named."""

    param: str
    why: str


# (feature, client, provider): a provider cannot do it, so the client gets a 400 that names its own field.
IMPOSSIBLE: dict[tuple[str, str, str], Impossible] = {
    ("n", "openai", "anthropic"): Impossible("n", "Anthropic gives one answer per request"),
    ("n", "google-genai", "anthropic"): Impossible(
        "candidateCount", "Anthropic gives one answer per request"
    ),
    ("seed", "openai", "anthropic"): Impossible("seed", "Anthropic has no seed"),
    ("seed", "google-genai", "anthropic"): Impossible("seed", "Anthropic has no seed"),
    ("one tool at a time", "openai", "gemini"): Impossible(
        "parallel_tool_calls", "Gemini cannot be kept from parallel calls"
    ),
    ("one tool at a time", "anthropic", "gemini"): Impossible(
        "disable_parallel_tool_use", "Gemini cannot be kept from parallel calls"
    ),
}
# (feature, client): the client's own dialect has no such thing, so there is nothing to ask.
UNSAYABLE = {
    ("n", "anthropic"): "the Messages API has no `n`",
    ("seed", "anthropic"): "the Messages API has no `seed`",
    ("one tool at a time", "google-genai"): "the Gemini API has no such switch",
}
