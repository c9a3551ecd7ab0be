# SPDX-License-Identifier: Apache-2.0
"""Messages of an Anthropic request as Gemini's contents: neighbours of one role are one content."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.dialects import anthropic_request as read
from apps.providers.dialects import gemini_thinking, signatures
from apps.providers.dialects.gemini_parts import NO_SIGNATURE
from apps.providers.pairs.anthropic_gemini import media
from apps.providers.pairs.fields import only
from apps.providers.pairs.pair import Ask, InvalidError, Object

_ROLES = {"user": "user", "assistant": "model"}
_SIGNATURE = "thoughtSignature"
_TEXT = frozenset({"type", "text", "cache_control", "citations"})
_THINKING = frozenset({"type", "thinking", "signature", "cache_control"})
_REDACTED = frozenset({"type", "data", "cache_control"})
_CALL = frozenset({"type", "id", "name", "input", "cache_control", "caller"})
_RESULT = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
_REFERENCE = frozenset({"type", "tool_name", "cache_control"})
_USERS = frozenset({"tool_result"})
_ASSISTANTS = frozenset({"tool_use", "thinking", "redacted_thinking"})


class Contents:
    """Reads the messages.

    `contents` are what they come to, `instruction` the texts of system messages (Gemini has one place for them),
    `loaded` the tools that results refer to.
    """

    def __init__(self, ask: Ask) -> None:
        self.contents: list[Object] = []
        self.instruction: list[Object] = []
        self.loaded: set[str] = set()
        self._ask = ask
        self._names: dict[str, str] = {}
        self._parts: list[Object] = []
        # A signature that belongs to the part that comes next.
        self._next = ""
        self._strict = gemini_thinking.takes_levels(ask.upstream_model)
        self._readers: dict[str, Callable[[Object, str], None]] = {
            "text": self._text,
            "thinking": self._thinking,
            "redacted_thinking": self._redacted,
            "tool_use": self._call,
            "tool_result": self._result,
            "image": self._media,
            "document": self._media,
            "search_result": self._media,
        }

    def read(self, fields: Mapping[str, Any]) -> None:
        """Take in every message."""
        path = "messages"
        for path, role, blocks in read.messages(fields):
            if role == "system":
                self._system(blocks, path)
                continue
            self._turn(_ROLES[role])
            for number, block in enumerate(blocks):
                self._block(block, role, f"{path}.content.{number}")
        self._leave()
        self.contents = [content for content in self.contents if content["parts"]]
        if self.contents and self.contents[-1]["role"] == "model":
            self._ask.cannot(
                path, "ends with words of the assistant, which Gemini does not promise to go on with"
            )
            self.contents.pop()
        if not self.contents:
            raise InvalidError("messages", "has to hold at least one message that is not empty")

    def _turn(self, role: str) -> None:
        if self.contents and self.contents[-1]["role"] == role:
            return
        self._leave()
        self._parts = []
        self.contents.append({"role": role, "parts": self._parts})

    def _leave(self) -> None:
        """End a turn: a signature whose part was lost stands alone, a model's first call must have one."""
        self._alone(self._next)
        if not self._strict or not self.contents or self.contents[-1]["role"] != "model":
            return
        first = next((part for part in self._parts if "functionCall" in part), None)
        if first is not None and _SIGNATURE not in first:
            first[_SIGNATURE] = NO_SIGNATURE

    def _system(self, blocks: list[Object], path: str) -> None:
        for number, block in enumerate(blocks):
            text = read.checked_text(block.get("text"), f"{path}.content.{number}.text")
            self.instruction.append({"text": text})

    def _block(self, block: Object, role: str, path: str) -> None:
        kind = block["type"]
        reader = self._readers.get(kind)
        if reader is None:
            self._ask.cannot(f"{path}.type", f"is {kind}, which Gemini has nothing like")
            return
        if kind in (_USERS if role == "assistant" else _ASSISTANTS):
            raise InvalidError(f"{path}.type", f"cannot be {kind} in a message of the role {role}")
        reader(block, path)

    def _text(self, block: Object, path: str) -> None:
        only(block, _TEXT, path, self._ask)
        text = read.checked_text(block.get("text"), f"{path}.text")
        if text:
            self._add({"text": text})

    def _thinking(self, block: Object, path: str) -> None:
        only(block, _THINKING, path, self._ask)
        text = read.checked_text(block.get("thinking"), f"{path}.thinking")
        carried = signatures.to_gemini(read.checked_text(block.get("signature"), f"{path}.signature"))
        if carried is None:
            return
        place, signature = carried
        if place == signatures.SELF:
            self._parts.append({"text": text, "thought": True, _SIGNATURE: signature})
            return
        if text:
            self._parts.append({"text": text, "thought": True})
        last = self._parts[-1] if self._parts else {}
        if place == signatures.NEXT:
            self._alone(self._next)
            self._next = signature
        elif place == signatures.BEFORE and last and "thought" not in last and _SIGNATURE not in last:
            last[_SIGNATURE] = signature
        else:
            self._alone(signature)

    def _redacted(self, block: Object, path: str) -> None:
        only(block, _REDACTED, path, self._ask)
        read.checked_text(block.get("data"), f"{path}.data")

    def _call(self, block: Object, path: str) -> None:
        only(block, _CALL, path, self._ask)
        if block.get("caller") and block["caller"] != {"type": "direct"}:
            self._ask.cannot(f"{path}.caller", "is a tool of Anthropic's, which Gemini does not have")
        call_id, name, given = read.call_of(block, path)
        self._names[call_id] = name
        self._add({"functionCall": {"id": call_id, "name": name, "args": given}})

    def _result(self, block: Object, path: str) -> None:
        only(block, _RESULT, path, self._ask)
        call_id = read.answered_call(block, self._names, path)
        texts: list[str] = []
        beside: list[Object] = []
        content = block.get("content")
        for number, inner in enumerate([] if content is None else read.blocks(content, f"{path}.content")):
            self._within(inner, f"{path}.content.{number}", texts, beside)
        said: Any = texts if len(texts) > 1 else "".join(texts)
        response: Object = {"id": call_id, "name": self._names[call_id]}
        response["response"] = {"error" if block.get("is_error") is True else "output": said}
        if self._strict and beside:
            # Since Gemini 3 data may be a part of the response; what is to be fetched has its place beside it.
            within = [part for part in beside if "inlineData" in part]
            beside = [part for part in beside if "inlineData" not in part]
            response |= {"parts": within} if within else {}
        self._add({"functionResponse": response})
        self._parts.extend(beside)

    def _within(self, block: Object, path: str, texts: list[str], beside: list[Object]) -> None:
        if block["type"] == "text":
            only(block, _TEXT, path, self._ask)
            texts.append(read.checked_text(block.get("text"), f"{path}.text"))
            return
        if block["type"] == "tool_reference":
            only(block, _REFERENCE, path, self._ask)
            texts.append(read.checked_text(block.get("tool_name"), f"{path}.tool_name"))
            self.loaded.add(texts[-1])
            return
        if block["type"] not in {"image", "document", "search_result"}:
            self._ask.cannot(f"{path}.type", f"is {block['type']}, which Gemini has nothing like")
            return
        for part in media.parts_of(block, path, self._ask):
            if "text" in part:
                texts.append(part["text"])
            else:
                beside.append(part)

    def _media(self, block: Object, path: str) -> None:
        for part in media.parts_of(block, path, self._ask):
            self._add(part)

    def _add(self, part: Object) -> None:
        if self._next:
            part[_SIGNATURE], self._next = self._next, ""
        self._parts.append(part)

    def _alone(self, signature: str) -> None:
        if signature:
            self._parts.append({"text": "", _SIGNATURE: signature})
        self._next = ""
