# SPDX-License-Identifier: Apache-2.0
"""Pins the request schemas again from the installed official packages: `python -m tests.upstreams.schemas.derive`."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count
from anthropic.types.beta import message_create_params as beta_create
from google.genai import types as gemini
from openai.types import completion_create_params as text_completion
from openai.types import embedding_create_params as embedding
from openai.types.chat import completion_create_params as chat
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from typing_extensions import override

FOLDER = Path(__file__).parent
_DROPPED = ("title", "description", "default", "discriminator", "format", "examples")
# Parameters of the client's methods that travel as headers.
_HEADERS = ("betas", "user_profile_id", "workspace_id")

# What google-genai's `_to_mldev` converters refuse: fields of the Vertex AI form only.
_VERTEX_ONLY = {
    "Tool": ("retrieval", "enterpriseWebSearch", "parallelAiSearch", "exaAiSearch"),
    "FunctionCall": ("partialArgs", "willContinue"),
    "FunctionCallingConfig": ("streamFunctionCallArguments",),
    "SafetySetting": ("method",),
    "AuthConfig": (
        "apiKeyConfig",
        "authType",
        "googleServiceAccountConfig",
        "httpBasicAuthConfig",
        "oauthConfig",
    ),
}
# The client's config is flat; on the wire these stand beside `generationConfig`, or are the client's own.
_BESIDE = ("systemInstruction", "safetySettings", "tools", "toolConfig", "labels", "cachedContent", "serviceTier",
           "continuationToken", "store")  # fmt: skip
_OWN = ("httpOptions", "shouldReturnHttpResponse", "automaticFunctionCalling", "routingConfig", "audioTimestamp",
        "modelSelectionConfig", "modelArmorConfig", "generationOutputConfig", "automaticContinuation")  # fmt: skip


class _Lenient(GenerateJsonSchema):
    """Python objects that the client takes and never sends (sessions, callables) have no schema."""

    @override
    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}

    @override
    def emit_warning(self, kind: Any, detail: str) -> None:
        """Defaults that are no JSON are dropped anyway."""


def openai() -> dict[str, Any]:
    """The request bodies of the OpenAI API."""
    made = _derive(
        {
            "chat": chat.CompletionCreateParamsNonStreaming,
            "completions": text_completion.CompletionCreateParamsNonStreaming,
            "embeddings": embedding.EmbeddingCreateParams,
        }
    )
    for name in ("chat", "completions"):
        _streamable(made["requests"][name])
    return _about("openai", "openai.types: CompletionCreateParams, EmbeddingCreateParams", made)


def anthropic() -> dict[str, Any]:
    """The request bodies of the Anthropic API, with and without beta headers."""
    made = _derive(
        {
            "messages": message_create_params.MessageCreateParamsNonStreaming,
            "count_tokens": message_count_tokens_params.MessageCountTokensParams,
            "beta_messages": beta_create.MessageCreateParamsNonStreaming,
            "beta_count_tokens": beta_count.MessageCountTokensParams,
        }
    )
    for name in ("messages", "beta_messages"):
        _streamable(made["requests"][name])
    for schema in made["requests"].values():
        for header in _HEADERS:
            schema["properties"].pop(header, None)
    return _about(
        "anthropic",
        "anthropic.types and anthropic.types.beta: MessageCreateParams, MessageCountTokensParams",
        made,
    )


def google() -> dict[str, Any]:
    """The request bodies of the Gemini API (not Vertex AI)."""
    made = _derive({"config": gemini.GenerateContentConfig, "content": gemini.Content, "tool": gemini.Tool})
    defs, config = made["$defs"], made["requests"]["config"]
    defs.setdefault("Tool", made["requests"]["tool"])
    for name, fields in _VERTEX_ONLY.items():
        for field in fields:
            defs.get(name, {}).get("properties", {}).pop(field, None)
    beside = {name: config["properties"].pop(name) for name in _BESIDE if name in config["properties"]}
    for name in _OWN:
        config["properties"].pop(name, None)
    # The client takes Python types here; the wire has the schema itself. A content is never a bare string.
    config["properties"]["responseSchema"] = {"$ref": "#/$defs/Schema"}
    config["properties"]["responseJsonSchema"] = {}
    config["properties"]["speechConfig"] = {"$ref": "#/$defs/SpeechConfig"}
    beside["systemInstruction"] = {"$ref": "#/$defs/Content"}
    beside["tools"] = {"type": "array", "items": {"$ref": "#/$defs/Tool"}}
    defs["GenerationConfig"] = config
    defs["Type"]["enum"] += [name.lower() for name in defs["Type"]["enum"]]
    contents = {"type": "array", "items": {"$ref": "#/$defs/Content"}}
    generate = _object(
        {"contents": contents, "generationConfig": {"$ref": "#/$defs/GenerationConfig"}, **beside},
        ["contents"],
    )
    defs["GenerateContentRequest"] = {
        **generate,
        "properties": {"model": {"type": "string"}, **generate["properties"]},
    }
    embed = {
        "content": {"$ref": "#/$defs/Content"},
        "taskType": {"type": "string"},
        "title": {"type": "string"},
    }
    embed |= {"outputDimensionality": {"type": "integer"}, "model": {"type": "string"}}
    defs["EmbedContentRequest"] = _object(embed, ["content"])
    batch = {"type": "array", "items": {"$ref": "#/$defs/EmbedContentRequest"}}
    made["requests"] = {
        "generate": generate,
        "count": _object(
            {"contents": contents, "generateContentRequest": {"$ref": "#/$defs/GenerateContentRequest"}}, []
        ),
        "embed": defs["EmbedContentRequest"],
        "batch_embed": _object({"requests": batch}, ["requests"]),
    }
    made["$defs"] = _reachable(made["requests"], defs)
    return _about("google-genai", "google.genai.types as its models._*_to_mldev converters write them", made)


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _derive(kinds: dict[str, Any]) -> dict[str, Any]:
    """Schemas of several types over one set of definitions, without prose, and closed."""
    adapters: list[Any] = [(name, "validation", TypeAdapter(kind)) for name, kind in kinds.items()]
    schemas, definitions = TypeAdapter.json_schemas(adapters, schema_generator=_Lenient)
    defs = {name: _closed(schema) for name, schema in definitions["$defs"].items()}
    requests = {name: _closed(schemas[name, "validation"]) for name in kinds}
    requests = {
        name: defs[s["$ref"].rpartition("/")[2]] if "$ref" in s else s for name, s in requests.items()
    }
    copied: dict[str, Any] = json.loads(json.dumps({"requests": requests, "$defs": defs}))
    copied["$defs"] = (
        _reachable(copied["requests"], copied["$defs"]) if "config" not in kinds else copied["$defs"]
    )
    return copied


def _closed(schema: Any) -> Any:
    """The same schema without prose; an object with named fields has no others."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _closed(value) for name, value in schema.items() if name not in (*_DROPPED, "properties")}
    if "properties" in schema:
        made["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        made["additionalProperties"] = False
    return made


def _streamable(schema: dict[str, Any]) -> None:
    schema["properties"]["stream"] = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}


def _reachable(requests: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The definitions that the requests need."""
    found: set[str] = set()
    waiting: list[Any] = [requests]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(defs[name])
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return {name: defs[name] for name in sorted(found)}


def _about(package: str, source: str, made: dict[str, Any]) -> dict[str, Any]:
    version = importlib.metadata.version(package)
    return {"about": {"package": package, "version": version, "source": source}, **made}


def written(schema: dict[str, Any]) -> str:
    """One definition per line: small, and a difference shows what changed."""
    parts = [f'"about": {json.dumps(schema["about"])}']
    for group in ("requests", "$defs"):
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in schema[group].items())
        parts.append(f'"{group}": {{\n{rows}\n}}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write the three files."""
    for name, make in (("openai", openai), ("anthropic", anthropic), ("gemini", google)):
        (FOLDER / f"{name}.json").write_text(written(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
