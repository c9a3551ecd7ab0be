# SPDX-License-Identifier: Apache-2.0
"""OpenAI's older text completions in front of any provider: a prompt becomes the one message of a chat.

It stands in front of the translations of OpenAI's chat clients, also for providers that speak OpenAI's dialect: most of
them, and all newer models, have the chat alone.
"""

from collections.abc import Mapping
from typing import Any

from apps.providers.pairs.pair import Ask, InexpressibleError, InvalidError, Object, Pair, Translation

# What OpenAI makes of a request that does not say how long its answer may be.
OUTPUT = 16
_OWN = frozenset({"prompt", "echo", "suffix", "best_of", "logprobs", "max_tokens"})
_CHAT_ONLY = ("max_completion_tokens", "messages")
_HEAD = ("id", "created", "model", "system_fingerprint")


class Completions:
    """The three translations; `chat` is that of the same provider for chat clients, None where it speaks OpenAI's."""

    def __init__(self, chat: Pair | None) -> None:
        self._chat = chat

    def request(self, fields: Mapping[str, Any], ask: Ask) -> Object:
        """The provider's request for a chat with the prompt as its message."""
        chat = _chat(fields, ask)
        if self._chat is None:
            return chat
        try:
            return self._chat.request(chat, ask)
        except InexpressibleError as fault:
            raise InexpressibleError(_own_name(fault.param), fault.reason) from None
        except InvalidError as fault:
            raise InvalidError(_own_name(fault.param), fault.reason) from None

    def answer(self, body: Mapping[str, Any], ask: Ask) -> Object:
        """The text completion for the provider's whole answer."""
        found = self._chat.answer(body, ask) if self._chat is not None else body
        usage = {"usage": found["usage"]} if found.get("usage") else {}
        return {**_completion(found, "message"), **usage}

    def stream(self, ask: Ask) -> Translation:
        """The chunks of a text completion."""
        return _Chunks(self._chat.stream(ask) if self._chat is not None else None)


class _Chunks:
    """Chunks of a chat as chunks of a text."""

    def __init__(self, chat: Translation | None) -> None:
        self._chat = chat

    def feed(self, event: Mapping[str, Any]) -> list[Object]:
        """The chunks that say something of the text; a role, for one, has no place in it."""
        if self._chat is None:
            return _told([event])
        return _told(self._chat.feed(event))

    def end(self) -> list[Object]:
        """What the chat still owes."""
        return _told(self._chat.end()) if self._chat is not None else []


def _chat(fields: Mapping[str, Any], ask: Ask) -> Object:
    for name in _CHAT_ONLY:
        if fields.get(name) is not None:
            raise InvalidError(name, "belongs to chats: send it to /v1/chat/completions")
    if fields.get("echo"):
        ask.cannot("echo", "is not offered by chats, which every text completion becomes")
    if fields.get("suffix"):
        ask.cannot("suffix", "is not offered by chats, which every text completion becomes")
    if fields.get("best_of") not in {None, fields.get("n") or 1}:
        ask.cannot("best_of", "is not offered by chats, which every text completion becomes")
    if fields.get("logprobs") is not None:
        ask.cannot("logprobs", "is told by chats in another form: ask for them at /v1/chat/completions")
    prompt, limit = fields.get("prompt"), fields.get("max_tokens")
    chat = {name: value for name, value in fields.items() if name not in _OWN}
    chat["messages"] = [{"role": "user", "content": prompt[0] if isinstance(prompt, list) else prompt}]
    chat["max_completion_tokens"] = OUTPUT if limit is None else limit
    return chat


def _own_name(param: str) -> str:
    """A field of the chat by the name that the client knows."""
    if param.startswith("messages"):
        return "prompt"
    return "max_tokens" if param == "max_completion_tokens" else param


def _told(chunks: list[Any]) -> list[Object]:
    found = []
    for chunk in chunks:
        told = _completion(chunk, "delta")
        usage = chunk.get("usage")
        if usage:
            told["usage"] = usage
        if usage or any(choice["text"] or choice["finish_reason"] for choice in told["choices"]):
            found.append(told)
    return found


def _completion(chat: Mapping[str, Any], part: str) -> Object:
    head = {name: chat[name] for name in _HEAD if chat.get(name) is not None}
    choices = [_choice(choice, part) for choice in chat.get("choices") or ()]
    return {**head, "object": "text_completion", "choices": choices}


def _choice(choice: Mapping[str, Any], part: str) -> Object:
    said = choice.get(part)
    if not isinstance(said, dict):
        said = {}
    text = said.get("content") or said.get("refusal")
    return {
        "text": text if isinstance(text, str) else "",
        "index": choice.get("index") or 0,
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }
