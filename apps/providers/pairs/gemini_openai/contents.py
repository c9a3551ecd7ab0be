# SPDX-License-Identifier: Apache-2.0
"""Gemini's contents as the messages of a chat completion."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import msgspec

from apps.providers.dialects.gemini_parts import (
    Calls,
    camel,
    data_url,
    kept_by_google,
    media_type,
    objects,
    parts_of,
    standard_base64,
    word,
)
from apps.providers.pairs.pair import Ask, InvalidError, Object

# What goes with parts and is no news to an OpenAI model.
LET_GO = (
    ("thought parts of the model", "a chat completion takes no thoughts back"),
    ("thoughtSignature", "is for Gemini models, and sent to those behind OpenAI's dialect"),
    ("partMetadata", "the client's own notes"),
    ("displayName of pictures and sounds", "only documents have a name in a chat completion"),
)
_LET_GO = frozenset({"thought", "thoughtSignature", "partMetadata"})
_CONTENT, _RESPONSE = frozenset({"role", "parts"}), frozenset({"id", "name", "response"})
_DATA = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse"})
_AUDIO = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
}
_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
_UNSPECIFIED = "MEDIA_RESOLUTION_UNSPECIFIED"
_encode = msgspec.json.Encoder().encode


class History:
    """Reads contents in order; `messages` is what they amount to. `detail` is what pictures are told."""

    def __init__(self, ask: Ask, detail: str) -> None:
        self.messages: list[Object] = []
        self._ask = ask
        self._detail = detail
        self._calls = Calls()
        self._texts: list[str] = []
        self._made: list[Object] = []
        self._signs = "gemini" in ask.upstream_model

    def system(self, texts: list[str]) -> None:
        """Take in the system instruction."""
        if texts:
            self.messages.append({"role": "system", "content": _content([_text(text) for text in texts])})

    def read(self, contents: Any) -> None:
        """Take in all contents."""
        if contents is None or contents == []:
            raise InvalidError("contents", "must be a list with at least one content")
        before = ""
        for path, content in objects(contents, "contents"):
            role = content.get("role") or "user"
            if not content.keys() <= _CONTENT:
                for name in content.keys() - _CONTENT:
                    self._ask.cannot(f"{path}.{name}", "is not a field that an OpenAI model can be told")
            if role == "model":
                if before != "model":
                    self._all_answered(path)
                self._model(content, path)
            elif word(role) in {"user", "function", "tool"}:
                self._assistant()
                self._user(content, path)
            else:
                raise InvalidError(f"{path}.role", "must be user or model")
            before = role
        self._assistant()
        self._all_answered("contents")
        if all(message["role"] == "system" for message in self.messages):
            raise InvalidError("contents", "must hold something to answer")

    def _all_answered(self, path: str) -> None:
        if name := self._calls.waiting():
            raise InvalidError(path, f"must first bring the response to the call of {name!r}")

    def _user(self, content: Mapping[str, Any], path: str) -> None:
        parts: list[Object] = []
        for where, part in parts_of(content, path):
            kind = self._kind(part, where)
            if kind == "functionResponse":
                self._response(camel(part[kind], f"{where}.{kind}"), f"{where}.{kind}")
            elif kind == "text":
                parts.append(_text(part["text"]))
            elif kind in {"inlineData", "fileData"}:
                self._media(kind, part, where, parts)
            elif kind:
                raise InvalidError(f"{where}.{kind}", "can only be made by the model")
        if parts:
            self._all_answered(f"{path}.parts")
            self.messages.append({"role": "user", "content": _content(parts)})

    def _model(self, content: Mapping[str, Any], path: str) -> None:
        for where, part in parts_of(content, path):
            kind = self._kind(part, where)
            if kind == "text":
                if part.get("thought") is not True:
                    self._texts.append(part["text"])
            elif kind == "functionCall":
                call = self._call(camel(part[kind], f"{where}.{kind}"), f"{where}.{kind}")
                if self._signs and part.get("thoughtSignature"):
                    call["extra_content"] = {"google": {"thought_signature": part["thoughtSignature"]}}
                self._made.append(call)
            elif kind:
                self._ask.cannot(f"{where}.{kind}", "cannot be part of an OpenAI model's own message")

    def _assistant(self) -> None:
        """The message for the model's contents so far: clients keep a stream as one content for each chunk."""
        text, calls = "".join(self._texts), self._made
        self._texts, self._made = [], []
        if calls:
            self.messages.append({"role": "assistant", "content": text or None, "tool_calls": calls})
        elif text:
            self.messages.append({"role": "assistant", "content": text})

    def _kind(self, part: Mapping[str, Any], path: str) -> str:
        """Which kind of data a part holds; empty where it holds none that can be said."""
        if len(part) == 1 and "text" in part and isinstance(part["text"], str):
            return "text"
        kind = ""
        for name in part:
            if name in _DATA:
                if kind:
                    raise InvalidError(path, f"holds both `{kind}` and `{name}`")
                kind = name
            elif name not in _LET_GO and name != "mediaResolution":
                self._ask.cannot(f"{path}.{name}", "is not a part that an OpenAI model can be told")
        if kind == "text" and not isinstance(part["text"], str):
            raise InvalidError(f"{path}.text", "must be a text")
        return kind

    def _call(self, call: Mapping[str, Any], path: str) -> Object:
        name, args = call.get("name"), call.get("args", {})
        if not isinstance(name, str):
            raise InvalidError(f"{path}.name", "must be the name of a function")
        if not isinstance(args, dict):
            raise InvalidError(f"{path}.args", "must be an object")
        function = {"name": name, "arguments": _encode(args).decode()}
        return {"id": self._calls.opened(name, call.get("id")), "type": "function", "function": function}

    def _response(self, response: Mapping[str, Any], path: str) -> None:
        name, given = response.get("name"), response.get("response", {})
        if not isinstance(name, str):
            raise InvalidError(f"{path}.name", "must be the name of a function")
        if not isinstance(given, dict):
            raise InvalidError(f"{path}.response", "must be an object")
        if not response.keys() <= _RESPONSE:
            for field in response.keys() - _RESPONSE:
                if response[field] not in (False, []):
                    self._ask.cannot(f"{path}.{field}", "cannot go with a tool's result to an OpenAI model")
        call_id = self._calls.answered(name, response.get("id"), path)
        output = given.get("output")
        # The one key that Google reserves for a plain result.
        text = output if len(given) == 1 and isinstance(output, str) else _encode(given).decode()
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def _media(self, kind: str, part: Mapping[str, Any], path: str, parts: list[Object]) -> None:
        where = f"{path}.{kind}"
        data = camel(part[kind], where)
        if kind == "fileData":
            found = self._file(data, part, path, where)
        else:
            mime, raw = data.get("mimeType"), data.get("data")
            if not isinstance(mime, str) or not isinstance(raw, str):
                raise InvalidError(where, "must hold base64 `data` and its `mimeType`")
            found = self._inline(mime, raw, data, part, path)
        if found is not None:
            parts.append(found)

    def _file(self, data: Mapping[str, Any], part: Mapping[str, Any], path: str, where: str) -> Object | None:
        uri = data.get("fileUri")
        if not isinstance(uri, str):
            raise InvalidError(f"{where}.fileUri", "must be a URI")
        mime = str(data.get("mimeType") or media_type(uri))
        if mime.startswith("image/") and uri.startswith(("https://", "http://")) and not kept_by_google(uri):
            return self._image(uri, part, path)
        self._ask.cannot(f"{where}.fileUri", "can only be a picture on the open web for an OpenAI model")
        return None

    def _inline(
        self, mime: str, raw: str, data: Mapping[str, Any], part: Mapping[str, Any], path: str
    ) -> Object | None:
        if mime.startswith("image/"):
            return self._image(data_url(mime, raw), part, path)
        if _level(part) not in (None, _UNSPECIFIED):
            self._ask.cannot(f"{path}.mediaResolution", "can only be told for pictures to an OpenAI model")
        if mime in _AUDIO:
            sound = {"data": standard_base64(raw), "format": _AUDIO[mime]}
            return {"type": "input_audio", "input_audio": sound}
        if mime == "application/pdf":
            name = str(data.get("displayName") or "document.pdf")
            return {"type": "file", "file": {"filename": name, "file_data": data_url(mime, raw)}}
        if mime.startswith("text/"):
            try:
                return _text(b64decode(standard_base64(raw), validate=True).decode())
            except (binascii.Error, ValueError):
                raise InvalidError(f"{path}.inlineData.data", "must be text in base64") from None
        self._ask.cannot(f"{path}.inlineData.mimeType", "is not a kind of data that a chat completion takes")
        return None

    def _image(self, url: str, part: Mapping[str, Any], path: str) -> Object:
        detail = self._detail
        level = _level(part)
        if level not in (None, _UNSPECIFIED):
            if word(level) not in _DETAILS:
                self._ask.cannot(f"{path}.mediaResolution", "can only be low or high for an OpenAI model")
            detail = _DETAILS.get(word(level), detail)
        image = {"url": url, "detail": detail} if detail else {"url": url}
        return {"type": "image_url", "image_url": image}


def _level(part: Mapping[str, Any]) -> Any:
    given = part.get("mediaResolution")
    return given.get("level") if isinstance(given, dict) else given


def _text(text: str) -> Object:
    return {"type": "text", "text": text}


def _content(parts: list[Object]) -> str | list[Object]:
    """One text as itself: the form that every server of this dialect understands."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        found: str = parts[0]["text"]
        return found
    return parts
