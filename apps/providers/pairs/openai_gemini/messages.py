# SPDX-License-Identifier: Apache-2.0
"""The messages of a chat completion as Gemini's contents and system instruction."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from apps.providers.dialects.gemini_parts import NO_SIGNATURE, file_data, from_data_url, word
from apps.providers.dialects.gemini_thinking import takes_levels
from apps.providers.pairs.pair import Ask, InvalidError, Object

# What answers carry and clients send back, and hints to a cache: nothing in it is news to the model.
LET_GO = (
    ("annotations", "citations of an earlier answer"),
    ("thinking_blocks", "thoughts signed by another provider's model; `reasoning_content` has their text"),
    ("prompt_cache_breakpoint", "a hint to OpenAI's cache"),
    ("cache_control", "a hint to Anthropic's cache"),
    ("filename", "a file's name beside its data: Gemini's parts have no name"),
)
_LET_GO = frozenset(name for name, _ in LET_GO)
_KNOWN = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "assistant": frozenset(
        {"role", "content", "tool_calls", "refusal", "reasoning_content", "extra_content", "images"}
    ),
}
_RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mp3"}
_object = msgspec.json.Decoder(dict[str, Any]).decode


class History:
    """Reads messages in order; `contents` and `system` are what they amount to."""

    def __init__(self, ask: Ask) -> None:
        self.contents: list[Object] = []
        self.system: list[str] = []
        self._ask = ask
        self._names: dict[str, str] = {}
        self._results: list[Object] | None = None
        self._waiting: dict[str, str] = {}
        self._details: dict[str, str] = {}
        self._wants_signatures = takes_levels(ask.upstream_model)

    def read(self, messages: Any) -> None:
        """Take in all messages."""
        if not isinstance(messages, list) or not messages:
            raise InvalidError("messages", "must be a list with at least one message")
        for number, message in enumerate(messages):
            self._message(message, f"messages[{number}]")
        self._all_answered()
        if not self.contents:
            self._ask.cannot("messages", "must hold more than a system message for a Gemini model")
            self.contents = [{"role": "user", "parts": [{"text": text} for text in self.system]}]
            self.system = []

    def resolution(self) -> str:
        """The one resolution that all pictures are to be seen at; empty for the provider's own choice."""
        asked = set(self._details) - {"auto"}
        if not asked:
            return ""
        if len(self._details) == 1 and (word := next(iter(asked))) in _RESOLUTIONS:
            return _RESOLUTIONS[word]
        path = next(path for detail, path in self._details.items() if detail != "auto")
        self._ask.cannot(path, "must be low or high and the same for all pictures of a request to Gemini")
        return ""

    def _message(self, message: Any, path: str) -> None:
        if not isinstance(message, dict):
            raise InvalidError(path, "must be an object")
        role = message.get("role")
        role = "system" if role == "developer" else role
        if not isinstance(role, str) or role not in _KNOWN:
            raise InvalidError(f"{path}.role", "must be system, developer, user, assistant or tool")
        self._check(message, _KNOWN[role], path)
        if role == "tool":
            self._tool(message, path)
            return
        self._results = None
        self._all_answered()
        if role == "system":
            if self.contents:
                self._ask.cannot(f"{path}.role", "cannot be system after the first turn for a Gemini model")
            self.system += self._texts(message.get("content"), f"{path}.content")
        elif role == "user":
            if message.get("content") == []:
                raise InvalidError(f"{path}.content", "must not be empty")
            if parts := list(self._user_parts(message.get("content"), f"{path}.content")):
                self.contents.append({"role": "user", "parts": parts})
        elif parts := self._assistant_parts(message, path):
            self.contents.append({"role": "model", "parts": parts})

    def _all_answered(self) -> None:
        for call_id, path in self._waiting.items():
            raise InvalidError(path, f"must be followed by a tool message for {call_id!r}")

    def _check(self, given: Mapping[str, Any], known: frozenset[str], path: str) -> None:
        if given.keys() <= known:
            return
        for name, value in given.items():
            if name not in known and name not in _LET_GO and value is not None:
                self._ask.cannot(f"{path}.{name}", "is not a field that a Gemini model can be told")

    def _texts(self, content: Any, path: str) -> list[str]:
        if isinstance(content, str):
            return [content]
        return [self._text(part, where) for where, part in _parts(content, path)]

    def _text(self, part: Mapping[str, Any], path: str) -> str:
        kind = word(part.get("type"))
        text = part.get(kind) if kind in {"text", "refusal"} else None
        if not isinstance(text, str):
            raise InvalidError(path, "must be a part of text")
        self._check(part, frozenset({"type", kind}), path)
        return text

    def _user_parts(self, content: Any, path: str) -> Iterator[Object]:
        if isinstance(content, str):
            yield {"text": content}
            return
        for where, part in _parts(content, path):
            kind = word(part.get("type"))
            if kind == "text":
                yield {"text": self._text(part, where)}
                continue
            if kind not in {"image_url", "input_audio", "file"} or not isinstance(part.get(kind), dict):
                raise InvalidError(f"{where}.type", "must be text, image_url, input_audio or file")
            self._check(part, frozenset({"type", kind}), where)
            found = _READERS[kind](self, part[kind], f"{where}.{kind}")
            if found is not None:
                yield found

    def _image(self, given: Object, path: str) -> Object | None:
        url, detail = given.get("url"), given.get("detail") or "auto"
        if not isinstance(url, str) or not url:
            raise InvalidError(f"{path}.url", "must be a URL")
        if word(detail) not in {"auto", "low", "high", "original"}:
            raise InvalidError(f"{path}.detail", "must be auto, low, high or original")
        self._details.setdefault(detail, f"{path}.detail")
        self._check(given, frozenset({"url", "detail"}), path)
        return _media(url, f"{path}.url")

    def _audio(self, given: Object, path: str) -> Object | None:
        data, form = given.get("data"), word(given.get("format"))
        if not isinstance(data, str) or form not in _AUDIO:
            raise InvalidError(path, "must hold base64 `data` in the `format` wav or mp3")
        return {"inlineData": {"mimeType": _AUDIO[form], "data": data}}

    def _file(self, given: Object, path: str) -> Object | None:
        self._details.setdefault("auto", path)
        data, file_id = given.get("file_data"), given.get("file_id")
        if isinstance(data, str) and data:
            return _media(data, f"{path}.file_data")
        if isinstance(file_id, str) and file_id.startswith("https://"):
            return {"fileData": file_data(file_id)}
        if not isinstance(file_id, str):
            raise InvalidError(path, "must hold `file_data` or `file_id`")
        self._ask.cannot(f"{path}.file_id", "names a file that only OpenAI's own models can read")
        return None

    def _assistant_parts(self, message: Mapping[str, Any], path: str) -> list[Object]:
        parts: list[Object] = []
        thoughts = message.get("reasoning_content")
        if isinstance(thoughts, str) and thoughts:
            parts.append({"text": thoughts, "thought": True})
        content = message.get("content")
        texts = self._texts(content, f"{path}.content") if content is not None else []
        if isinstance(message.get("refusal"), str):
            texts.append(message["refusal"])
        parts += [{"text": text} for text in texts if text]
        for where, image in _parts(message.get("images") or [], f"{path}.images"):
            given = image.get("image_url")
            if not isinstance(given, dict) or not isinstance(given.get("url"), str):
                raise InvalidError(f"{where}.image_url", "must be an object with a `url`")
            parts.append(_media(given["url"], f"{where}.image_url.url"))
        if signature := _signature(message):
            if not parts or parts[-1].get("thought"):
                parts.append({"text": ""})
            parts[-1]["thoughtSignature"] = signature
        return parts + self._calls(message.get("tool_calls"), f"{path}.tool_calls")

    def _calls(self, calls: Any, path: str) -> list[Object]:
        if calls is None:
            return []
        found: list[Object] = []
        for where, call in _parts(calls, path):
            if call.get("type", "function") != "function":
                self._ask.cannot(f"{where}.type", "must be function for a Gemini model")
                continue
            part: Object = {"functionCall": self._call(call, where)}
            if signature := _signature(call):
                part["thoughtSignature"] = signature
            elif not found and self._wants_signatures:
                part["thoughtSignature"] = NO_SIGNATURE
            found.append(part)
        return found

    def _call(self, call: Mapping[str, Any], path: str) -> Object:
        function = call.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str):
            raise InvalidError(f"{path}.function", "must be an object with a `name`")
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            raise InvalidError(f"{path}.id", "must be a text")
        arguments = function.get("arguments") or "{}"
        try:
            args = _object(arguments)
        except (TypeError, msgspec.DecodeError, RecursionError):
            raise InvalidError(f"{path}.function.arguments", "must be a JSON object in a text") from None
        self._names[call_id] = name
        self._waiting[call_id] = path
        return {"id": call_id, "name": name, "args": args}

    def _tool(self, message: Mapping[str, Any], path: str) -> None:
        call_id = message.get("tool_call_id")
        name = self._names.get(call_id) if isinstance(call_id, str) else None
        if name is None:
            raise InvalidError(f"{path}.tool_call_id", "must be the id of a tool call made before")
        self._waiting.pop(str(call_id), None)
        texts = self._texts(message.get("content"), f"{path}.content")
        part = {"functionResponse": {"id": call_id, "name": name, "response": _response("".join(texts))}}
        if self._results is None:
            self._results = []
            self.contents.append({"role": "user", "parts": self._results})
        self._results.append(part)


_READERS = {"image_url": History._image, "input_audio": History._audio, "file": History._file}


def _parts(content: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(content, list):
        raise InvalidError(path, "must be a text or a list of parts")
    for number, part in enumerate(content):
        if not isinstance(part, dict):
            raise InvalidError(f"{path}[{number}]", "must be an object")
        yield f"{path}[{number}]", part


def _media(url: str, path: str) -> Object:
    inline = from_data_url(url)
    if inline is not None:
        return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
    if not url.startswith(("https://", "http://")):
        raise InvalidError(path, "must be a web address or a data URL in base64 with its media type")
    return {"fileData": file_data(url)}


def _response(text: str) -> Object:
    """What a function gave back: an object as it is, everything else as its output."""
    if text[:1] == "{":
        try:
            return _object(text)
        except (msgspec.DecodeError, RecursionError):
            pass
    return {"output": text}


def _signature(given: Mapping[str, Any]) -> str:
    extra = given.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""
