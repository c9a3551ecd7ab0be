# SPDX-License-Identifier: Apache-2.0
"""What a client of one dialect can have from a provider of another: the table that the API and the reference show.

What stands here is held against the translations by a test: a "no" is a 400 that names the field, a "yes" is none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from apps.providers.domain import DIALECTS

# The endpoints of the gateway where each dialect is spoken, with how it asks for a JSON answer and for a stream.
ENDPOINTS: Mapping[str, Mapping[bool, str]] = {
    "openai": {False: "/v1/chat/completions", True: "/v1/chat/completions"},
    "anthropic": {False: "/v1/messages", True: "/v1/messages"},
    "gemini": {
        False: "/v1beta/models/{model}:generateContent",
        True: "/v1beta/models/{model}:streamGenerateContent",
    },
}
FEATURES = (
    "text",
    "system prompt",
    "output limit",
    "stop sequences",
    "temperature",
    "top p",
    "top k",
    "seed",
    "n",
    "logprobs",
    "token biases",
    "penalties",
    "tools",
    "tool choice",
    "one tool at a time",
    "tool results",
    "vision",
    "documents",
    "audio input",
    "audio output",
    "JSON object",
    "JSON schema",
    "thinking",
    "cache marks",
    "web search",
    "MCP servers",
    "safety settings",
    "cached content",
)
# What a dialect has no word for, so that its clients cannot ask.
UNSAYABLE: Mapping[str, frozenset[str]] = {
    "openai": frozenset({"top k", "cache marks", "MCP servers", "safety settings", "cached content"}),
    "anthropic": frozenset(
        {"seed", "n", "logprobs", "token biases", "penalties", "audio input", "audio output", "JSON object"}
        | {"safety settings", "cached content"}
    ),
    "gemini": frozenset({"token biases", "one tool at a time", "cache marks", "MCP servers"}),
}
_CONFIG = "generationConfig"
_ONE_ANSWER = "Anthropic gives one answer per request"
_NO_SAMPLING = "Anthropic does not offer it"
# (client, provider) to the client's field that is named in the refusal, and why; everything else works.
REFUSED: Mapping[tuple[str, str], Mapping[str, tuple[str, str]]] = {
    ("openai", "anthropic"): {
        "seed": ("seed", "Anthropic's answers cannot be repeated"),
        "n": ("n", _ONE_ANSWER),
        "logprobs": ("logprobs", _NO_SAMPLING),
        "token biases": ("logit_bias", _NO_SAMPLING),
        "penalties": ("presence_penalty", _NO_SAMPLING),
        "audio input": ("messages[0].content[1]", "Anthropic takes no audio"),
        "audio output": ("modalities", "Anthropic gives no audio"),
    },
    ("openai", "gemini"): {
        "token biases": ("logit_bias", "Gemini has nothing like it"),
        "one tool at a time": ("parallel_tool_calls", "Gemini cannot be kept from parallel calls"),
        "audio output": ("modalities", "Gemini's chat models give text"),
        "web search": ("web_search_options", "OpenAI runs that tool"),
    },
    ("anthropic", "openai"): {
        "top k": ("top_k", "OpenAI does not offer it"),
        "web search": ("tools.0", "Anthropic runs that tool"),
        "MCP servers": ("mcp_servers", "OpenAI does not offer it in a chat"),
    },
    ("anthropic", "gemini"): {
        "one tool at a time": (
            "tool_choice.disable_parallel_tool_use",
            "Gemini cannot be kept from parallel calls",
        ),
        "MCP servers": ("mcp_servers", "Gemini has nothing like it"),
    },
    ("gemini", "openai"): {
        "top k": (f"{_CONFIG}.topK", "OpenAI does not offer it"),
        "audio output": (f"{_CONFIG}.responseModalities", "a chat completion through here gives text"),
        "web search": ("tools[0].googleSearch", "Google runs that tool"),
        "safety settings": ("safetySettings[0].threshold", "OpenAI has no filter to be set"),
        "cached content": ("cachedContent", "only Google holds it"),
    },
    ("gemini", "anthropic"): {
        "seed": (f"{_CONFIG}.seed", "Anthropic's answers cannot be repeated"),
        "n": (f"{_CONFIG}.candidateCount", _ONE_ANSWER),
        "logprobs": (f"{_CONFIG}.responseLogprobs", _NO_SAMPLING),
        "penalties": (f"{_CONFIG}.presencePenalty", _NO_SAMPLING),
        "audio input": ("contents[0].parts[1].inlineData", "Anthropic takes no audio"),
        "audio output": (f"{_CONFIG}.responseModalities", "Anthropic gives no audio"),
        "safety settings": ("safetySettings[0].threshold", "Anthropic's own rules cannot be set"),
        "cached content": ("cachedContent", "only Google holds it"),
    },
}


class Capability(msgspec.Struct, frozen=True):
    """One cell: `supported` None means that the client's own dialect has no word for the feature."""

    client: str
    provider: str
    endpoint: str
    streaming: bool
    feature: str
    supported: bool | None
    param: str = ""
    reason: str = ""

    def facts(self) -> dict[str, Any]:
        """The cell as plain values."""
        return msgspec.structs.asdict(self)


def cell(client: str, provider: str, feature: str, *, streaming: bool) -> Capability:
    """One cell of the table; KeyError for what is not in it."""
    endpoint = ENDPOINTS[client][streaming]
    if feature in UNSAYABLE[client]:
        return Capability(client, provider, endpoint, streaming, feature, None)
    param, reason = REFUSED.get((client, provider), {}).get(feature, ("", ""))
    return Capability(client, provider, endpoint, streaming, feature, not param, param, reason)


def rows() -> Iterator[Capability]:
    """All cells, by client, provider, form and feature."""
    for client in DIALECTS:
        for provider in DIALECTS:
            for streaming in (False, True):
                for feature in FEATURES:
                    yield cell(client, provider, feature, streaming=streaming)


def page() -> str:
    """The table as Markdown, for the reference."""
    lines: list[str] = []
    for client in DIALECTS:
        whole, stream = ENDPOINTS[client][False], ENDPOINTS[client][True]
        lines += [f"## Clients of the dialect {client}", ""]
        lines.append(f"JSON: `{whole}`; streams: `{stream}`. The cells hold for both.")
        lines += ["", "| | " + " | ".join(f"{name} provider" for name in DIALECTS) + " |"]
        lines.append("|---" * (len(DIALECTS) + 1) + "|")
        for feature in FEATURES:
            words = [_word(cell(client, provider, feature, streaming=False)) for provider in DIALECTS]
            lines.append(f"| {feature} | " + " | ".join(words) + " |")
        lines.append("")
    return "\n".join(lines)


def _word(found: Capability) -> str:
    if found.supported is None:
        return "n/a"
    return "yes" if found.supported else f"400 `{found.param}`: {found.reason}"
