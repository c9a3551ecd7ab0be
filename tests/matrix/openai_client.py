# SPDX-License-Identifier: Apache-2.0
"""The official OpenAI client: chat completions."""

import base64
import json
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessage

from tests.matrix.seen import Call, Endpoint, FailedError, Question, Seen, Turn, Usage
from tests.upstreams.running import PLAIN


class OpenAIClient:
    """`openai`, sync for JSON and async for streams."""

    name, version = "openai", openai.__version__
    stops = {"end": "stop", "length": "length", "tools": "tool_calls", "refusal": "content_filter"}

    def ask(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as JSON."""
        with openai.OpenAI(
            base_url=f"{endpoint.root}/v1",
            api_key=endpoint.key,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(verify=PLAIN),
        ) as client:
            try:
                answer = client.chat.completions.create(**fields(endpoint, question))
            except openai.APIError as fault:
                raise failed(fault) from fault
        choices = answer.choices
        return _seen([choice.message for choice in choices], choices[0].finish_reason, answer.usage)

    async def stream(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as a stream."""
        messages: dict[int, dict[str, Any]] = {}
        finish, usage, asked = "", None, fields(endpoint, question)
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        async with openai.AsyncOpenAI(
            base_url=f"{endpoint.root}/v1",
            api_key=endpoint.key,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=PLAIN),
        ) as client:
            try:
                async for chunk in await client.chat.completions.create(**asked):
                    usage = chunk.usage or usage
                    for choice in chunk.choices:
                        _grow(
                            messages.setdefault(choice.index, {}), choice.delta.model_dump(exclude_none=True)
                        )
                        finish = choice.finish_reason or finish
            except openai.APIError as fault:
                raise failed(fault, (messages.get(0) or {}).get("content") or "") from fault
        made = [
            ChatCompletionMessage.model_validate({"content": None, **messages[at]}) for at in sorted(messages)
        ]
        return _seen(made, finish, usage)


def fields(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    """The arguments of `create`."""
    messages: list[dict[str, Any]] = []
    if question.system:
        messages.append({"role": "system", "content": question.system})
    for turn in question.before:
        messages += _turn(turn)
    if question.prompt:
        messages.append({"role": "user", "content": _content(question)})
    made: dict[str, Any] = {"model": endpoint.model, "messages": messages}
    made["max_completion_tokens"] = question.most
    if question.tools:
        made["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.about, "parameters": t.schema}}
            for t in question.tools
        ]
    if question.choice:
        plain = question.choice in ("auto", "none", "required")
        named = {"type": "function", "function": {"name": question.choice}}
        made["tool_choice"] = question.choice if plain else named
    if not question.parallel:
        made["parallel_tool_calls"] = False
    if question.schema is not None:
        form: dict[str, Any] = {"name": "answer", "schema": question.schema, "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": form}
    if question.thinking:
        made["reasoning_effort"] = "high"
    if question.n > 1:
        made["n"] = question.n
    if question.stops:
        made["stop"] = list(question.stops)
    if question.seed is not None:
        made["seed"] = question.seed
    if question.extra:
        made["extra_body"] = question.extra
    return made


def _turn(turn: Turn) -> list[dict[str, Any]]:
    results = [
        {"role": "tool", "tool_call_id": call.identity, "content": result}
        for call, result in zip(turn.seen.calls, turn.results, strict=True)
    ]
    return [{"role": "user", "content": turn.question}, turn.seen.native, *results]


def _content(question: Question) -> Any:
    if not question.image:
        return question.prompt
    url = f"data:image/png;base64,{base64.b64encode(question.image).decode()}"
    return [{"type": "text", "text": question.prompt}, {"type": "image_url", "image_url": {"url": url}}]


def _grow(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta to a message: texts are joined, lists by their `index`."""
    for name, value in delta.items():
        if isinstance(value, list):
            rows = message.setdefault(name, [])
            for item in value:
                at = item.get("index", len(rows))
                if at >= len(rows):
                    rows.append({"index": at})
                _grow(rows[at], {key: part for key, part in item.items() if key != "index"})
        elif isinstance(value, dict):
            _grow(message.setdefault(name, {}), value)
        elif name in ("role", "id", "type", "name"):
            message[name] = value
        else:
            message[name] = (message.get(name) or "") + value


def _seen(messages: list[ChatCompletionMessage], finish: str, usage: Any) -> Seen:
    first = messages[0]
    more = first.model_extra or {}
    blocks = more.get("thinking_blocks") or []
    calls: Any = first.tool_calls or []
    native = first.model_dump(exclude_none=True)
    for call in native.get("tool_calls") or ():
        call.pop("index", None)
    for block in native.get("thinking_blocks") or ():
        block.pop("index", None)
    return Seen(
        texts=tuple(message.content or "" for message in messages),
        calls=tuple(Call(c.id, c.function.name, json.loads(c.function.arguments)) for c in calls),
        stop=finish,
        usage=_usage(usage),
        thinking=more.get("reasoning_content") or "",
        signature="".join(block.get("signature") or "" for block in blocks),
        redacted="".join(block.get("data") or "" for block in blocks),
        refusal=first.refusal or "",
        native=native,
    )


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    given, made = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        (given.cached_tokens or 0) if given else 0,
        (given.cache_write_tokens or 0) if given else 0,
        (made.reasoning_tokens or 0) if made else 0,
    )


def failed(fault: openai.APIError, before: str = "") -> FailedError:
    """What the client tells of an error; one in a stream has the status of the stream, which is none."""
    response = getattr(fault, "response", None)
    return FailedError(
        kind=type(fault).__name__,
        status=getattr(fault, "status_code", 0),
        message=fault.message,
        error_type=fault.type or "",
        param=fault.param or "",
        retry_after=response.headers.get("retry-after", "") if response is not None else "",
        before=before,
    )
