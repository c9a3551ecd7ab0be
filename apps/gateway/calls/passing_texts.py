# SPDX-License-Identifier: Apache-2.0
"""What can be read of a body that is passed through, and what its provider says it used."""

from collections.abc import Mapping
from typing import Any

import msgspec
from typing_extensions import override

from apps.core.limits import MAX_JSON_DEPTH
from apps.core.outcome import Refuse
from apps.gateway.texts import DepthError, Slot, collect
from apps.providers.dialects.anthropic_usage import partial
from apps.providers.dialects.gemini_usage import count, read_usage
from apps.providers.usage import MOST, Partial, Usage, merge

JSON, LINES, TEXT, BYTES, NONE = "json", "lines", "text", "bytes", "none"
_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
# Text that means what it says: no tags, no percent signs, no parts.
_PLAIN = {"text/plain", "text/csv", "text/markdown", "text/vtt", "text/srt", "application/x-subrip"}
_UTF8 = {"", "utf-8", "utf8", "us-ascii"}
_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder().decode


class Read(msgspec.Struct):
    """A body as far as it can be read; `value` has one member, so that even a lone text can be rewritten."""

    kind: str
    value: list[Any]
    raw: bytes

    @property
    def readable(self) -> bool:
        """Whether policies have seen all of it."""
        return self.kind != BYTES

    def body(self) -> bytes:
        """The bytes to send: JSON is written afresh, so that what was read is what is sent."""
        if self.kind == JSON:
            return _encode(self.value[0])
        if self.kind == LINES:
            return b"".join(_encode(line) + b"\n" for line in self.value[0])
        return str(self.value[0]).encode() if self.kind == TEXT else self.raw


class _Names(dict[str, Any]):
    """Stands for an object whose names are texts: a rewritten name takes its value along."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__()
        self._holder = holder

    @override
    def __setitem__(self, name: str, text: Any) -> None:
        self._holder[text] = self._holder.pop(name)


def read(raw: bytes, declared: str) -> Read:
    """A body by what it says it is, JSON wherever it is JSON; ValueError where it says JSON and is none."""
    if not raw:
        return Read(NONE, [None], raw)
    kind, _, parameters = declared.partition(";")
    kind = kind.strip().lower()
    charset = next((p.partition("=")[2] for p in parameters.split(";") if "charset" in p.lower()), "")
    if charset.strip(' "').lower() not in _UTF8:
        return Read(BYTES, [None], raw)
    if kind in {"", "application/json"} or kind.endswith("+json"):
        return Read(JSON, [_any(raw)], raw)
    try:
        if kind in _LINES:
            return Read(LINES, [[_any(line) for line in raw.splitlines() if line.strip()]], raw)
        if raw.lstrip()[:1] in {b"{", b"[", b'"'}:
            return Read(JSON, [_any(raw)], raw)
    except (ValueError, RecursionError):
        pass
    if kind in _PLAIN and b"\0" not in raw:
        try:
            return Read(TEXT, [raw.decode()], raw)
        except UnicodeDecodeError:
            return Read(BYTES, [None], raw)
    return Read(BYTES, [None], raw)


def read_request(raw: bytes, declared: str) -> Read | Refuse:
    """The body of a request, or why it is none."""
    try:
        return read(raw, declared)
    except RecursionError:
        return Refuse("invalid_json", f"The body is nested deeper than {MAX_JSON_DEPTH} levels.")
    except ValueError as fault:
        return Refuse("invalid_json", f"The body is not JSON: {str(fault)[:120]}.")


def slots_of(value: Any, found: list[Slot]) -> None:
    """All texts of a JSON value and then the names in its objects that are no plain words; DepthError past the bound."""
    collect(value, "user", found)
    _collect_names(value, found, MAX_JSON_DEPTH)


def _collect_names(value: Any, found: list[Slot], depth: int) -> None:
    if depth == 0:
        raise DepthError(f"nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, dict):
        for inner in value.values():
            if isinstance(inner, (dict, list)):
                _collect_names(inner, found, depth - 1)
        # After everything inside: a renamed member must not move what is still to be put into it.
        names = _Names(value)
        found += [Slot("user", name, names, name) for name in value if name and not name.isidentifier()]
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, (dict, list)):
                _collect_names(inner, found, depth - 1)


def without_odds(value: Any) -> None:
    """Take out of a rewritten answer the probabilities that tell the original token by token."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in {"logprobs", "logprobsResult"}:
                value[name] = None
            else:
                without_odds(inner)
    elif isinstance(value, list):
        for inner in value:
            without_odds(inner)


class Meter:
    """Adds up what a provider says about usage, in an answer or in the events of a stream."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._part: Partial | None = None
        self.usage: Usage | None = None

    def take(self, value: Any) -> None:
        """Look at an answer or an event; what is not recognisable says nothing."""
        if not isinstance(value, dict):
            return
        if self._dialect == "gemini":
            self.usage = read_usage(value.get("usageMetadata")) or self.usage
        elif self._dialect == "openai":
            inner = value.get("response")
            for told in (value.get("usage"), inner.get("usage") if isinstance(inner, dict) else None):
                self.usage = _openai(told) or self.usage
        else:
            message = value.get("message")
            for told in (message.get("usage") if isinstance(message, dict) else None, value.get("usage")):
                part = partial(told)
                if part is not None:
                    self._part = merge(self._part, part)
                    self.usage = self._part.whole()


def _openai(told: Any) -> Usage | None:
    """Both forms of OpenAI's usage: prompt and completion tokens, or input and output tokens."""
    if not isinstance(told, Mapping) or not told.keys() & {"prompt_tokens", "input_tokens"}:
        return None
    old = "prompt_tokens" in told
    read_, made = ("prompt_tokens", "completion_tokens") if old else ("input_tokens", "output_tokens")
    given, spent = min(MOST, count(told.get(read_))), min(MOST, count(told.get(made)))
    inside, outside = told.get(f"{read_}_details"), told.get(f"{made}_details")
    cached = count(inside.get("cached_tokens")) if isinstance(inside, Mapping) else 0
    thought = count(outside.get("reasoning_tokens")) if isinstance(outside, Mapping) else 0
    return Usage(input=given, output=spent, cache_read=min(cached, given), reasoning=min(thought, spent))
