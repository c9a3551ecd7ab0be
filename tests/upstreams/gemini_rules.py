# SPDX-License-Identifier: Apache-2.0
"""What Gemini turns down beyond a wrong form, in Google's words (ai.google.dev/api/generate-content)."""

import base64
import binascii
import json
import re
from typing import Any

from tests.upstreams import plan, rules
from tests.upstreams.rules import Fault, Path, RejectedError
from tests.upstreams.wire import Request

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
METHODS = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "batch_embed",
}
_TARGET = re.compile(r"/v1(?:beta|alpha)?/models/([^/:]+):(\w+)$")
_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult",
         "toolCall", "toolResponse")  # fmt: skip
# What Google documents for histories whose signatures are lost: as they are, and as bytes in base64.
_DUMMIES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$")
_RANGES = {"temperature": (0, 2), "topP": (0, 1), "candidateCount": (1, 8), "logprobs": (0, 20)}
_MOST_STOPS = 5

Body = dict[str, Any]


def error(status: int, message: str, details: list[Body] | None = None) -> bytes:
    """Google's form of an error."""
    body: Body = {"code": status, "message": message, "status": STATUSES.get(status, "UNKNOWN")}
    if details:
        body["details"] = details
    return json.dumps({"error": body}).encode()


def retry_info(seconds: str) -> list[Body]:
    """How Google says when to come back: in the body, not in a header."""
    return (
        [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}]
        if seconds
        else []
    )


def target(path: str) -> tuple[str, str]:
    """Model and method of a path; RejectedError for any other path."""
    found = _TARGET.search(path)
    if found is None or found[2] not in METHODS:
        raise RejectedError("Requested entity was not found.", status=404)
    return found[1], found[2]


def admit(request: Request) -> Body:
    """The body under the names of the reference; RejectedError where Gemini would not answer with 200."""
    if not request.headers.get("x-goog-api-key") and not request.query.get("key"):
        text = "Method doesn't allow unregistered callers (callers without established identity)."
        raise RejectedError(text, status=403)
    if request.path.endswith("/models"):
        return {}
    model, method = target(request.path)
    body: Body = rules.camel("gemini", METHODS[method], rules.read(request.body))
    try:
        fault = rules.first_fault("gemini", METHODS[method], body)
        if fault is not None:
            raise RejectedError(_said(fault), param=_snake(fault.path))
        if METHODS[method] == "generate":
            _generate(model, body)
        elif "contents" in body:
            _contents(model, body["contents"])
    except RejectedError as rejected:
        rejected.model = model
        raise
    return body


def _said(fault: Fault) -> str:
    above, name = _snake(fault.path[:-1]), fault.path[-1] if fault.path else ""
    place = f" at '{above}'" if above else ""
    if fault.kind == "extra":
        return f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
    if fault.kind == "missing":
        where = _snake(fault.path)
        return f"* GenerateContentRequest.{where}: {where} is not specified\n"
    return f"Invalid value at '{_snake(fault.path)}' ({fault.wanted}), {json.dumps(fault.got)}"


def _snake(path: Path) -> str:
    """A path as Google writes it."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", rules.bracketed(path))


def _generate(model: str, body: Body) -> None:
    _contents(model, body["contents"])
    _parts("system_instruction", (body.get("systemInstruction") or {}).get("parts"), optional=True)
    names = _tools(body.get("tools") or [])
    choice = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if choice and not names:
        raise RejectedError("Function calling config is set without function_declarations.")
    allowed = choice.get("allowedFunctionNames")
    if allowed and choice.get("mode") not in ("ANY", "VALIDATED"):
        text = "allowed_function_names should be set only when function calling mode is ANY."
        raise RejectedError(text)
    if unknown := sorted(set(allowed or ()) - set(names)):
        raise RejectedError(f"allowed_function_names has a name that is not declared: {unknown[0]}")
    _config(model, body.get("generationConfig") or {}, names)


def _contents(model: str, contents: list[Body]) -> None:
    """Roles, parts, and that a function's response follows its call at once."""
    if not contents:
        raise RejectedError("* GenerateContentRequest.contents: contents is not specified\n")
    called = 0
    for number, content in enumerate(contents):
        role = content.get("role") or "user"
        if role not in ("user", "model"):
            raise RejectedError("Please use a valid role: user, model.")
        parts = _parts(f"contents[{number}]", content.get("parts"))
        calls = [part for part in parts if part.get("functionCall")]
        responses = [part for part in parts if part.get("functionResponse")]
        if calls and (role != "model" or number == 0):
            raise RejectedError(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            )
        if responses and not called:
            raise RejectedError(
                "Please ensure that function response turn comes immediately after a function call turn."
            )
        if len(responses) != called:
            raise RejectedError(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
            )
        called = len(calls)
    _signatures(model, contents)


def _parts(where: str, parts: list[Body] | None, *, optional: bool = False) -> list[Body]:
    if not parts and not optional:
        raise RejectedError(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n")
    for number, part in enumerate(parts or []):
        place = f"{where}.parts[{number}]"
        given = [name for name in _DATA if part.get(name) is not None]
        if not given:
            text = "required oneof field 'data' must have one initialized field"
            raise RejectedError(f"* GenerateContentRequest.{place}.data: {text}\n")
        if len(given) > 1:
            raise RejectedError(
                f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{given[1]}'"
            )
        if "functionCall" in given and not part["functionCall"].get("name"):
            raise RejectedError(
                f"* GenerateContentRequest.{place}.function_call.name: Name cannot be empty.\n"
            )
        if "functionResponse" in given:
            _response(place, part["functionResponse"])
        if "inlineData" in given:
            _blob(place, part["inlineData"])
    return parts or []


def _response(place: str, response: Body) -> None:
    if not response.get("name"):
        raise RejectedError(
            f"* GenerateContentRequest.{place}.function_response.name: Name cannot be empty.\n"
        )
    if not isinstance(response.get("response"), dict):
        raise RejectedError(
            f"* GenerateContentRequest.{place}.function_response.response: must be a Struct.\n"
        )


def _blob(place: str, blob: Body) -> None:
    if not blob.get("mimeType"):
        raise RejectedError(
            f"* GenerateContentRequest.{place}.inline_data.mime_type: mime_type is not specified\n"
        )
    try:
        base64.b64decode(str(blob.get("data", "")).replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as fault:
        text = f"Invalid value at '{place}.inline_data.data' (TYPE_BYTES), Base64 decoding failed"
        raise RejectedError(text) from fault


def _plain(signature: str) -> str:
    """Bytes in JSON may be in either alphabet of base64."""
    return signature.replace("-", "+").replace("_", "/").rstrip("=")


_SIGNATURES = {
    _plain(text)
    for text in (plan.SIGNATURE, *_DUMMIES, *(base64.b64encode(d.encode()).decode() for d in _DUMMIES))
}


def _signatures(model: str, contents: list[Body]) -> None:
    """Since Gemini 3 the first call of each step of the turn that goes on carries the signature it came with."""
    given = [
        part["thoughtSignature"] for c in contents for part in c["parts"] if part.get("thoughtSignature")
    ]
    if any(_plain(signature) not in _SIGNATURES for signature in given):
        raise RejectedError("Thought signature is not valid.")
    if model.startswith(("gemini-1", "gemini-2")) or "=" in model:
        return
    words = [
        at
        for at, c in enumerate(contents)
        if (c.get("role") or "user") == "user" and any("text" in p for p in c["parts"])
    ]
    for content in contents[words[-1] if words else 0 :]:
        calls = [(at, part) for at, part in enumerate(content["parts"]) if part.get("functionCall")]
        if calls and not calls[0][1].get("thoughtSignature"):
            at, part = calls[0]
            raise RejectedError(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
                f"function call `default_api:{part['functionCall']['name']}`, position {at}."
            )


def _tools(tools: list[Body]) -> list[str]:
    declared = [declaration for tool in tools for declaration in tool.get("functionDeclarations") or ()]
    for number, declaration in enumerate(declared):
        if not _NAME.match(declaration.get("name") or ""):
            place = f"tools[0].function_declarations[{number}].name"
            raise RejectedError(f"* GenerateContentRequest.{place}: Invalid function name.\n")
        if declaration.get("parameters") and declaration.get("parametersJsonSchema"):
            raise RejectedError("Only one of parameters and parameters_json_schema may be set.")
    names = [declaration["name"] for declaration in declared]
    if len(set(names)) != len(names):
        raise RejectedError(f"Duplicate function declaration found: {max(names, key=names.count)}")
    return names


def _config(model: str, config: Body, names: list[str]) -> None:
    for name, (low, high) in _RANGES.items():
        value = config.get(name)
        if value is not None and not low <= value <= high:
            where = f"GenerateContentRequest.generation_config.{_snake((name,))}"
            raise RejectedError(f"* {where}: must be in the range [{low}, {high}]\n", param=name)
    if len(config.get("stopSequences") or ()) > _MOST_STOPS:
        raise RejectedError(
            f"* GenerateContentRequest.generation_config.stop_sequences: at most {_MOST_STOPS}\n"
        )
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        raise RejectedError("logprobs may be set only when response_logprobs is true.")
    shaped = [name for name in ("responseSchema", "responseJsonSchema") if config.get(name) is not None]
    mime = config.get("responseMimeType") or "text/plain"
    if len(shaped) > 1:
        raise RejectedError("Only one of response_schema and response_json_schema may be set.")
    if shaped and mime not in ("application/json", "text/x.enum"):
        text = f"Response schema is not supported with response mime type '{mime}'."
        raise RejectedError(text)
    if mime == "application/json" and names and model.startswith("gemini-2"):
        raise RejectedError("Function calling with a response mime type: 'application/json' is unsupported")
    thinking = config.get("thinkingConfig") or {}
    if thinking.get("thinkingBudget") is not None and thinking.get("thinkingLevel") is not None:
        raise RejectedError("You can only set only one of thinking budget and thinking level.")
    if thinking.get("thinkingLevel") is not None and model.startswith("gemini-2"):
        raise RejectedError("Thinking level is not supported for this model.")
    budget = thinking.get("thinkingBudget")
    if budget is not None and not -1 <= budget <= 32768:
        raise RejectedError(
            f"The thinking budget {budget} is invalid. Please choose a value between 0 and 32768."
        )
