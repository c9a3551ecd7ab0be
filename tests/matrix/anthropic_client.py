# SPDX-License-Identifier: Apache-2.0
"""The official Anthropic client: messages."""

import base64
from typing import Any

import anthropic

from tests.matrix.seen import Call, Endpoint, FailedError, Question, Seen, Turn, Usage
from tests.upstreams.running import PLAIN

_BUDGET = 2000


class AnthropicClient:
    """`anthropic`, sync for JSON and async for streams; streams through the client's own accumulator."""

    name, version = "anthropic", anthropic.__version__
    stops = {"end": "end_turn", "length": "max_tokens", "tools": "tool_use", "refusal": "refusal"}

    def ask(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as JSON."""
        with anthropic.Anthropic(
            base_url=endpoint.root,
            api_key=endpoint.key,
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(verify=PLAIN),
        ) as client:
            try:
                return _seen(client.messages.create(**fields(endpoint, question)))
            except anthropic.APIError as fault:
                raise failed(fault) from fault

    async def stream(self, endpoint: Endpoint, question: Question) -> Seen:
        """One answer as a stream."""
        before, kinds = "", []
        async with anthropic.AsyncAnthropic(
            base_url=endpoint.root,
            api_key=endpoint.key,
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(verify=PLAIN),
        ) as client:
            try:
                async with client.messages.stream(**fields(endpoint, question)) as stream:
                    async for event in stream:
                        kinds.append(event.type)
                        if event.type == "text":
                            before += event.text
                    message = await stream.get_final_message()
            except anthropic.APIError as fault:
                raise failed(fault, before) from fault
        for kind in ("message_start", "message_delta", "message_stop"):
            assert kinds.count(kind) == 1, (kind, kinds)
        assert kinds[0] == "message_start"
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(message.content)
        return _seen(message)


def fields(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    """The arguments of `create`."""
    messages: list[dict[str, Any]] = []
    for turn in question.before:
        messages += _turn(turn)
    if question.prompt:
        messages.append({"role": "user", "content": _content(question)})
    made: dict[str, Any] = {"model": endpoint.model, "max_tokens": question.most, "messages": messages}
    if question.system:
        made["system"] = [{"type": "text", "text": question.system, "cache_control": {"type": "ephemeral"}}]
    if question.tools:
        made["tools"] = [
            {"name": t.name, "description": t.about, "input_schema": t.schema} for t in question.tools
        ]
    if question.choice or not question.parallel:
        plain = {"auto": "auto", "none": "none", "required": "any"}.get(question.choice or "auto")
        choice: dict[str, Any] = {"type": plain} if plain else {"type": "tool", "name": question.choice}
        if not question.parallel:
            choice["disable_parallel_tool_use"] = True
        made["tool_choice"] = choice
    if question.schema is not None:
        made["output_config"] = {"format": {"type": "json_schema", "schema": question.schema}}
    if question.thinking:
        made["thinking"] = {"type": "enabled", "budget_tokens": _BUDGET}
    if question.stops:
        made["stop_sequences"] = list(question.stops)
    if question.extra:
        made["extra_body"] = question.extra
    return made


def _turn(turn: Turn) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": call.identity, "content": result}
        for call, result in zip(turn.seen.calls, turn.results, strict=True)
    ]
    if turn.failed:
        results[-1]["is_error"] = True
    return [
        {"role": "user", "content": turn.question},
        {"role": "assistant", "content": turn.seen.native},
        {"role": "user", "content": results},
    ]


def _content(question: Question) -> Any:
    if not question.image:
        return question.prompt
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(question.image).decode()}
    return [{"type": "image", "source": source}, {"type": "text", "text": question.prompt}]


def _seen(message: Any) -> Seen:
    content = message.content
    usage, details = message.usage, message.usage.output_tokens_details
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    explained = message.stop_details.explanation if message.stop_details else None
    return Seen(
        texts=("".join(block.text for block in content if block.type == "text"),),
        calls=tuple(Call(b.id, b.name, b.input) for b in content if b.type == "tool_use"),
        stop=message.stop_reason,
        usage=Usage(
            usage.input_tokens + cached + written,
            usage.output_tokens,
            cached,
            written,
            details.thinking_tokens if details else 0,
        ),
        thinking="".join(block.thinking for block in content if block.type == "thinking"),
        signature="".join(block.signature for block in content if block.type == "thinking"),
        redacted="".join(block.data for block in content if block.type == "redacted_thinking"),
        refusal=explained or "",
        native=[block.model_dump(exclude_none=True) for block in content],
    )


def failed(fault: anthropic.APIError, before: str = "") -> FailedError:
    """What the client tells of an error."""
    response = getattr(fault, "response", None)
    body: Any = fault.body if isinstance(fault.body, dict) else {}
    error = body.get("error") or {}
    return FailedError(
        kind=type(fault).__name__,
        status=getattr(fault, "status_code", 0),
        message=str(error.get("message") or fault.message),
        error_type=str(error.get("type") or ""),
        param=str(error.get("message") or ""),
        retry_after=response.headers.get("retry-after", "") if response is not None else "",
        before=before,
    )
