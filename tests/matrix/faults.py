# SPDX-License-Identifier: Apache-2.0
"""What each client must raise, fault by fault: class, status, type, words, and when to come back."""

import pytest

from tests.matrix.cells import Cell
from tests.matrix.features import Row
from tests.matrix.seen import FailedError, Question
from tests.upstreams.script import GREETING

# Providers say that they are overloaded each in their own way.
OVERLOADED = {"openai": 503, "anthropic": 529, "gemini": 503}
_LIMITED = {"openai": "RateLimitError", "anthropic": "RateLimitError", "google-genai": "ClientError"}
_REFUSED = {"openai": "BadRequestError", "anthropic": "BadRequestError", "google-genai": "ClientError"}
_BROKEN = {
    "openai": {"InternalServerError"},
    "anthropic": {"InternalServerError", "ServiceUnavailableError", "OverloadedError"},
    "google-genai": {"ServerError"},
}
_TYPES = {
    "limited": {
        "openai": "rate_limit_error",
        "anthropic": "rate_limit_error",
        "google-genai": "RESOURCE_EXHAUSTED",
    },
    "refused": {
        "openai": "invalid_request_error",
        "anthropic": "invalid_request_error",
        "google-genai": "INVALID_ARGUMENT",
    },
}
_SERVER_TYPES = {
    "openai": {"server_error"},
    "anthropic": {"api_error", "overloaded_error"},
    "google-genai": {"INTERNAL", "UNAVAILABLE"},
}


async def _failure(cell: Cell, question: Question) -> FailedError:
    with pytest.raises(FailedError) as caught:
        await cell.ask(question)
    return caught.value


async def credential(cell: Cell) -> None:
    """The provider turns the gateway's credential down: that is not the client's fault, and is not told as one."""
    fault = await _failure(cell, Question("Hello [[status=401]]"))

    if cell.direct:
        assert fault.status == 401
    else:
        assert fault.status == 502
        assert fault.kind in _BROKEN[cell.client.name]
        assert fault.error_type in _SERVER_TYPES[cell.client.name]
        assert "401" in fault.message


async def limited(cell: Cell) -> None:
    """The provider's limit is told as a limit, with its time to come back."""
    fault = await _failure(cell, Question("Hello [[status=429;retry=7]]"))

    assert (fault.status, fault.kind) == (429, _LIMITED[cell.client.name])
    assert fault.error_type == _TYPES["limited"][cell.client.name]
    assert fault.retry_after == "7"
    assert "429" in fault.message or "limit" in fault.message


async def broken(cell: Cell) -> None:
    """A fault of the provider is a fault of the server's side."""
    await _server_side(cell, await _failure(cell, Question("Hello [[status=500]]")), 500)


async def overloaded(cell: Cell) -> None:
    """So is its overload."""
    status = OVERLOADED[cell.provider]
    await _server_side(cell, await _failure(cell, Question(f"Hello [[status={status}]]")), status)


async def _server_side(cell: Cell, fault: FailedError, status: int) -> None:
    assert fault.kind in _BROKEN[cell.client.name]
    assert fault.status == status if cell.direct else 500 <= fault.status < 600
    assert fault.error_type in _SERVER_TYPES[cell.client.name]
    assert fault.message


async def middle(cell: Cell) -> None:
    """A provider that breaks off with an error of its own: the words before it arrive, then the client raises."""
    fault = await _failure(cell, Question("Hello [[broken=6]]"))

    assert fault.before
    assert GREETING.startswith(fault.before.strip())
    assert fault.before.strip() != GREETING
    assert fault.message
    assert fault.error_type in _SERVER_TYPES[cell.client.name]


async def cut(cell: Cell) -> None:
    """A provider that hangs up in the middle: no client takes the half for a whole."""
    fault = await _failure(cell, Question("Hello [[cut=6]]"))

    assert GREETING.startswith(fault.before.strip())
    assert fault.before.strip() != GREETING


async def wrong_type(cell: Cell) -> None:
    """A field of the wrong type is named in the client's own words."""
    names = {"openai": "max_completion_tokens", "anthropic": "stop_sequences", "google-genai": "seed"}
    name = names[cell.client.name]
    extra = {"generationConfig": {name: "many"}} if cell.client.name == "google-genai" else {name: "many"}
    fault = await _failure(cell, Question("Hello", extra=extra))

    assert (fault.status, fault.kind) == (400, _REFUSED[cell.client.name])
    assert fault.error_type == _TYPES["refused"][cell.client.name]
    assert name in fault.param


BEFORE: dict[str, Row] = {
    "provider's 401": credential,
    "provider's 429": limited,
    "provider's 500": broken,
    "provider overloaded": overloaded,
    "wrong type": wrong_type,
}
WITHIN: dict[str, Row] = {"error in a stream": middle, "stream cut": cut}


async def refused(cell: Cell, row: Row, param: str) -> None:
    """What a provider cannot do is turned down with 400, and the client's own field is named."""
    with pytest.raises(FailedError) as caught:
        await row(cell)
    fault = caught.value
    assert (fault.status, fault.kind) == (400, _REFUSED[cell.client.name])
    assert fault.error_type == _TYPES["refused"][cell.client.name]
    assert param in fault.param
