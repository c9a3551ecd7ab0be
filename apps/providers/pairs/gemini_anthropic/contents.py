# SPDX-License-Identifier: Apache-2.0
"""Contents of a Gemini request as Anthropic's messages: neighbours of one role are one message."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.dialects import anthropic_blocks as blocks
from apps.providers.dialects import signatures
from apps.providers.dialects.anthropic_thinking import goes_on
from apps.providers.dialects.gemini_parts import Calls, camel, objects, parts_of, word
from apps.providers.pairs.fields import only
from apps.providers.pairs.gemini_anthropic import media
from apps.providers.pairs.gemini_anthropic.read import as_flag, as_text
from apps.providers.pairs.pair import Ask, InvalidError, Object

_ROLES = {"user": "user", "function": "user", "model": "assistant"}
_CONTENT = frozenset({"role", "parts"})
_CALL = frozenset({"id", "name", "args"})
_RESPONSE = frozenset({"id", "name", "response", "parts", "willContinue", "scheduling"})
# What may stand beside the one thing that a part is.
_BESIDE = frozenset({"thought", "thoughtSignature", "partMetadata"})


class Contents:
    """Reads the contents; `turns.messages` are what they come to."""

    def __init__(self, ask: Ask) -> None:
        self.turns = blocks.Turns()
        self._ask = ask
        self._calls = Calls("toolu_")
        # Blocks of the message that is being read, its results apart: at Anthropic they come first.
        self._role = ""
        self._blocks: list[Object] = []
        self._results: list[Object] = []
        self._readers: dict[str, Callable[[Any, str], None]] = {
            "text": self._text,
            "functionCall": self._call,
            "functionResponse": self._response,
            "inlineData": self._media(media.inline),
            "fileData": self._media(media.file),
        }

    def read(self, given: Mapping[str, Any]) -> None:
        """Take in all contents; at least one has to say something."""
        path = "contents"
        for path, content in objects(given.get("contents"), "contents"):
            only(content, _CONTENT, path, self._ask)
            role = _ROLES.get(word(content.get("role", "user")))
            if role is None:
                raise InvalidError(f"{path}.role", "must be user or model")
            if role != self._role:
                self._leave()
                self._role = role
            for where, part in parts_of(content, path):
                self._part(part, where)
        self._leave()
        messages = self.turns.messages
        if messages and messages[-1]["role"] == "assistant" and not goes_on(self._ask.upstream_model):
            self._ask.cannot(
                path, "ends with words of the model, which this model of Anthropic's does not go on with"
            )
            messages.pop()
        if not messages:
            raise InvalidError("contents", "must hold at least one content that is not empty")

    def _leave(self) -> None:
        self.turns.add(self._role, self._results)
        self.turns.add(self._role, self._blocks)
        self._results, self._blocks = [], []

    def _part(self, part: Mapping[str, Any], path: str) -> None:
        if len(part) == 1 and "text" in part:
            self._text(part["text"], path)
            return
        signature = part.get("thoughtSignature")
        if signature is not None and self._role == "assistant":
            try:
                signed = signatures.to_anthropic(as_text(signature, f"{path}.thoughtSignature"))
            except ValueError as fault:
                raise InvalidError(f"{path}.thoughtSignature", str(fault)) from None
            self._blocks.extend(signed or ())
        if "thought" in part and as_flag(part["thought"], f"{path}.thought"):
            return
        for name, value in part.items():
            if name in _BESIDE:
                continue
            reader = self._readers.get(name)
            if reader is None:
                self._ask.cannot(f"{path}.{name}", "is nothing that Anthropic can be told")
            else:
                reader(value, path if name == "text" else f"{path}.{name}")

    def _text(self, given: Any, path: str) -> None:
        words = given if isinstance(given, str) else as_text(given, f"{path}.text")
        last = self._blocks[-1] if self._blocks else {}
        if self._role == "assistant" and last.get("type") == "text":
            # What came in the chunks of a stream was one text.
            last["text"] += words
        elif words:
            self._blocks.append(blocks.text(words))

    def _call(self, given: Any, path: str) -> None:
        if self._role != "assistant":
            raise InvalidError(path, "must be in a content of the role model")
        call = camel(given, path)
        only(call, _CALL, path, self._ask)
        name = as_text(call.get("name"), f"{path}.name")
        args = call.get("args", {})
        if not isinstance(args, dict):
            raise InvalidError(f"{path}.args", "must be an object")
        call_id = self._calls.opened(name, call.get("id"))
        self._blocks.append(blocks.tool_use(blocks.clean_id(call_id), name, args))

    def _response(self, given: Any, path: str) -> None:
        if self._role != "user":
            raise InvalidError(path, "must be in a content of the role user")
        found = camel(given, path)
        only(found, _RESPONSE, path, self._ask)
        if "willContinue" in found and as_flag(found["willContinue"], f"{path}.willContinue"):
            self._ask.cannot(f"{path}.willContinue", "is true, and Anthropic takes a result once")
        if found.get("scheduling", "SCHEDULING_UNSPECIFIED") != "SCHEDULING_UNSPECIFIED":
            self._ask.cannot(
                f"{path}.scheduling", "is for calls that do not block, which Anthropic does not have"
            )
        name = as_text(found.get("name"), f"{path}.name")
        call_id = blocks.clean_id(self._calls.answered(name, found.get("id"), path))
        said, failed = _said(found.get("response", {}), f"{path}.response")
        within = self._within(found, path) if "parts" in found else []
        content = [blocks.text(said), *within] if within and said else within or said
        self._results.append(blocks.tool_result(call_id, content, error=failed))

    def _within(self, found: Mapping[str, Any], path: str) -> list[Object]:
        made: list[Object] = []
        for where, part in objects(found["parts"], f"{path}.parts"):
            for name, value in part.items():
                if name not in {"inlineData", "fileData"}:
                    self._ask.cannot(f"{where}.{name}", "is nothing that Anthropic can be told")
                    continue
                block = (media.inline if name == "inlineData" else media.file)(
                    value, f"{where}.{name}", self._ask
                )
                made += [block] if block else []
        return made

    def _media(self, translate: Callable[[Any, str, Ask], Object | None]) -> Callable[[Any, str], None]:
        def reader(given: Any, path: str) -> None:
            block = translate(given, path, self._ask)
            if block is not None:
                self._blocks.append(block)

        return reader


def _said(response: Any, path: str) -> tuple[str, bool]:
    """What a function gave back as text, and whether it failed; without Gemini's two words it is the output whole."""
    if not isinstance(response, dict):
        raise InvalidError(path, "must be an object")
    if len(response) == 1 and "error" in response:
        return _words(response["error"]), True
    return _words(response["output"] if len(response) == 1 and "output" in response else response), False


def _words(value: Any) -> str:
    return value if isinstance(value, str) else blocks.arguments(value)
