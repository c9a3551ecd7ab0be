# SPDX-License-Identifier: Apache-2.0
"""The official Gemini client: generateContent with an API key."""

import base64
from typing import Any

import httpx
from google import genai
from google.genai import errors, types

from tests.matrix.seen import Call, Endpoint, FailedError, Question, Seen, Turn, Usage
from tests.upstreams.running import PLAIN

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


class GeminiClient:
    """`google-genai`, sync for JSON and async for streams."""

    name, version = "google-genai", genai.__version__
    stops = {"end": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "refusal": "SAFETY"}

    def ask(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as JSON."""
        with httpx.Client(verify=PLAIN) as http, _client(endpoint, question, httpx_client=http) as client:
            try:
                answer = client.models.generate_content(**_fields(endpoint, question))
            except errors.APIError as fault:
                raise failed(fault) from fault
        return _seen([answer])

    async def stream(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as a stream."""
        chunks: list[types.GenerateContentResponse] = []
        async with httpx.AsyncClient(verify=PLAIN) as http:
            client = _client(endpoint, question, httpx_async_client=http)
            try:
                async for chunk in await client.aio.models.generate_content_stream(
                    **_fields(endpoint, question)
                ):
                    chunks.append(chunk)  # noqa: PERF401
            except errors.APIError as fault:
                before = "".join(part.text or "" for chunk in chunks for part in _parts(chunk, 0))
                raise failed(fault, before) from fault
            except httpx.TransportError as fault:
                before = "".join(part.text or "" for chunk in chunks for part in _parts(chunk, 0))
                raise FailedError(type(fault).__name__, 0, str(fault), before=before) from fault
        return _seen(chunks)


def _client(endpoint: Endpoint, question: Question, **http: Any) -> genai.Client:
    options = types.HttpOptions(base_url=endpoint.root, extra_body=question.extra or None, **http)
    return genai.Client(api_key=endpoint.key, vertexai=False, http_options=options)


def _fields(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    """The arguments of `generate_content`."""
    contents: list[Any] = []
    for turn in question.before:
        contents += _turn(turn)
    if question.prompt:
        parts = [types.Part(text=question.prompt)]
        if question.image:
            parts.append(types.Part.from_bytes(data=question.image, mime_type="image/png"))
        contents.append(types.Content(role="user", parts=parts))
    config: dict[str, Any] = {"max_output_tokens": question.most}
    config["automatic_function_calling"] = {"disable": True}
    if question.system:
        config["system_instruction"] = question.system
    if question.tools:
        declared = [
            {"name": t.name, "description": t.about, "parameters_json_schema": t.schema}
            for t in question.tools
        ]
        config["tools"] = [{"function_declarations": declared}]
    if question.choice:
        mode = _MODES.get(question.choice, "ANY")
        named = {} if question.choice in _MODES else {"allowed_function_names": [question.choice]}
        config["tool_config"] = {"function_calling_config": {"mode": mode, **named}}
    if question.schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": question.schema}
    if question.thinking:
        config["thinking_config"] = {"include_thoughts": True, "thinking_budget": 2000}
    if question.n > 1:
        config["candidate_count"] = question.n
    if question.stops:
        config["stop_sequences"] = list(question.stops)
    if question.seed is not None:
        config["seed"] = question.seed
    return {"model": endpoint.model, "contents": contents, "config": types.GenerateContentConfig(**config)}


def _turn(turn: Turn) -> list[types.Content]:
    responses = []
    last = len(turn.results) - 1
    for at, (call, result) in enumerate(zip(turn.seen.calls, turn.results, strict=True)):
        said = {"error" if turn.failed and at == last else "output": result}
        found = types.FunctionResponse(id=call.identity or None, name=call.name, response=said)
        responses.append(types.Part(function_response=found))
    asked = types.Content(role="user", parts=[types.Part(text=turn.question)])
    return [asked, turn.seen.native, types.Content(role="user", parts=responses)]


def _parts(chunk: types.GenerateContentResponse, index: int) -> list[types.Part]:
    for at, candidate in enumerate(chunk.candidates or []):
        if (candidate.index if candidate.index is not None else at) == index and candidate.content:
            return candidate.content.parts or []
    return []


def _seen(chunks: list[types.GenerateContentResponse]) -> Seen:
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or ()]
    indexes = sorted({candidate.index or 0 for candidate in candidates}) or [0]
    parts = [part for chunk in chunks for part in _parts(chunk, 0)]
    calls = [part.function_call for part in parts if part.function_call]
    ends = [candidate for candidate in candidates if candidate.finish_reason]
    blocked = next((chunk.prompt_feedback for chunk in chunks if chunk.prompt_feedback), None)
    stop = str(ends[-1].finish_reason.value) if ends and ends[-1].finish_reason else ""
    if not stop and blocked and blocked.block_reason:
        stop = str(blocked.block_reason.value)
    told = [end.finish_message for end in ends if end.finish_message]
    return Seen(
        texts=tuple(
            "".join(p.text or "" for chunk in chunks for p in _parts(chunk, index) if not p.thought)
            for index in indexes
        ),
        calls=tuple(Call(c.id or "", c.name or "", c.args or {}) for c in calls),
        stop=stop,
        usage=_usage(chunks),
        thinking="".join(part.text or "" for part in parts if part.thought),
        signature="".join(
            base64.b64encode(p.thought_signature).decode() for p in parts if p.thought_signature
        ),
        refusal=told[-1] if told else (blocked.block_reason_message or "") if blocked else "",
        native=types.Content(role="model", parts=[p for p in parts if p.text != "" or p.thought_signature]),
    )


def _usage(chunks: list[types.GenerateContentResponse]) -> Usage | None:
    found = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    if not found:
        return None
    last = found[-1]
    given, made = last.prompt_token_count or 0, last.candidates_token_count or 0
    thoughts = last.thoughts_token_count or 0
    assert last.total_token_count == given + made + thoughts
    return Usage(given, made + thoughts, last.cached_content_token_count or 0, None, thoughts)


def failed(fault: errors.APIError, before: str = "") -> FailedError:
    """What the client tells of an error; it says when to come back in a detail, as Google does."""
    details: Any = fault.details if isinstance(fault.details, dict) else {}
    rows = (details.get("error") or {}).get("details") or []
    delays = [row["retryDelay"] for row in rows if "retryDelay" in row]
    headers = getattr(fault.response, "headers", None) or {}
    return FailedError(
        kind=type(fault).__name__,
        status=fault.code,
        message=fault.message or "",
        error_type=fault.status or "",
        param=fault.message or "",
        retry_after=delays[0].removesuffix("s") if delays else headers.get("retry-after", ""),
        before=before,
    )
