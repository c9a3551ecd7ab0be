# SPDX-License-Identifier: Apache-2.0
"""A whole chat completion as a GenerateContentResponse, and the pieces that streams share with it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from apps.providers.dialects.gemini_parts import from_data_url
from apps.providers.dialects.gemini_usage import count, usage_metadata
from apps.providers.pairs.pair import Ask, Object

_REASONS = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
_object = msgspec.json.Decoder(dict[str, Any]).decode


def whole(body: Mapping[str, Any], ask: Ask) -> Object:
    """The GenerateContentResponse."""
    candidates = []
    for number, choice in enumerate(choices_of(body)):
        message = choice.get("message")
        if not isinstance(message, dict):
            raise ValueError("a choice has no message")
        candidates.append(_candidate(choice, message, number))
    if not candidates:
        raise ValueError("a chat completion without choices")
    found = {"candidates": candidates, **head(body, ask)}
    usage = usage_of(body.get("usage"))
    return {**found, "usageMetadata": usage} if usage else found


def _candidate(choice: Mapping[str, Any], message: Mapping[str, Any], number: int) -> Object:
    parts = parts_of(message)
    text = "".join(part["text"] for part in parts if "text" in part and "thought" not in part)
    function_parts, fault = call_parts(list_of(message, "tool_calls"))
    reason, said = finish_of(choice.get("finish_reason"), refusal=message.get("refusal"), fault=fault)
    found: Object = {
        "content": {"role": "model", "parts": [*parts, *function_parts] or [{"text": ""}]},
        "finishReason": reason,
        "index": index_of(choice, number),
    }
    if said:
        found["finishMessage"] = said
    found.update(logprobs_of(choice.get("logprobs")))
    found.update(citations_of(message.get("annotations"), text))
    return found


def head(body: Mapping[str, Any], ask: Ask) -> Object:
    """What every object of an answer says about itself."""
    found = body.get("id")
    name = found if isinstance(found, str) and found else ask.request_id
    return {"modelVersion": ask.model, "responseId": name}


def choices_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The choices; ValueError when there is something else in their place."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise ValueError("choices must be a list of objects")
    return choices


def index_of(choice: Mapping[str, Any], number: int) -> int:
    """A choice's index: its own, or its place."""
    index = choice.get("index")
    return index if type(index) is int else number


def parts_of(message: Mapping[str, Any]) -> list[Object]:
    """The parts for what a message, or a piece of one, says: thoughts, text, refusal, pictures."""
    parts: list[Object] = []
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thoughts, str) and thoughts:
        parts.append({"text": thoughts, "thought": True})
    content = message.get("content")
    if isinstance(content, str):
        if content:
            parts.append({"text": content})
    elif isinstance(content, list):
        parts += [
            {"text": str(part["text"])} for part in content if isinstance(part, dict) and part.get("text")
        ]
    elif content is not None:
        raise ValueError("content must be a text")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append({"text": refusal})
    if images := message.get("images"):
        parts += _images(images)
    if signature := signature_of(message):
        if not parts:
            parts.append({"text": ""})
        parts[-1]["thoughtSignature"] = signature
    return parts


def _images(images: Any) -> list[Object]:
    parts: list[Object] = []
    for image in images if isinstance(images, list) else ():
        given = image.get("image_url") if isinstance(image, dict) else None
        inline = from_data_url(str(given.get("url"))) if isinstance(given, dict) else None
        if inline is None:
            raise ValueError("a picture must be a data URL")
        parts.append({"inlineData": {"mimeType": inline[0], "data": inline[1]}})
    return parts


def list_of(given: Mapping[str, Any], name: str) -> list[Any]:
    """A list that may be missing; ValueError when there is something else in its place."""
    found = given.get(name) or []
    if not isinstance(found, list):
        raise ValueError(f"{name} must be a list")
    return found


def call_parts(calls: Iterable[Any]) -> tuple[list[Object], str]:
    """Whole tool calls as parts, and what is wrong with the arguments of the first that cannot be one."""
    parts: list[Object] = []
    fault = ""
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str):
            raise ValueError("a tool call is no function call")
        given = function.get("arguments") or "{}"
        try:
            args = given if isinstance(given, dict) else _object(given)
        except (TypeError, msgspec.DecodeError, RecursionError):
            fault = fault or f"Arguments of {name} that are no JSON object: {given}"
            continue
        part: Object = {"functionCall": {"name": name, "args": args}}
        if call.get("id"):
            part["functionCall"]["id"] = str(call["id"])
        if signature := signature_of(call):
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts, fault


def signature_of(given: Mapping[str, Any]) -> str:
    """The thought signature that a Gemini model behind OpenAI's dialect gave; empty where there is none."""
    extra = given.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


def finish_of(reason: Any, *, refusal: Any, fault: str) -> tuple[str, str]:
    """The finish reason and what is said about it; a refusal or a broken call never looks like a whole answer."""
    word = _REASONS.get(str(reason), "OTHER")
    said = refusal if isinstance(refusal, str) and refusal else ""
    if said and word == "STOP":
        word = "SAFETY"
    if fault and word == "STOP":
        return "MALFORMED_FUNCTION_CALL", fault
    return word, said or fault


def logprobs_of(told: Any) -> Object:
    """The log probabilities of a choice, as fields of a candidate."""
    rows = told.get("content") if isinstance(told, dict) else None
    if not isinstance(rows, list) or not rows:
        return {}
    chosen = [_token(row) for row in rows]
    tops = [list_of(row, "top_logprobs") for row in rows]
    total = sum(row["logProbability"] for row in chosen)
    result: Object = {"chosenCandidates": chosen, "logProbabilitySum": total}
    if any(tops):
        result["topCandidates"] = [{"candidates": [_token(row) for row in top]} for top in tops]
    return {"logprobsResult": result, "avgLogprobs": total / len(chosen)}


def _token(row: Any) -> Object:
    if not isinstance(row, dict):
        raise ValueError("a token's probability must be an object")
    probability = row.get("logprob")
    number = float(probability) if isinstance(probability, (int, float)) else 0.0
    return {"token": str(row.get("token") or ""), "logProbability": number}


def citations_of(annotations: Any, text: str) -> Object:
    """The sources that an answer quotes, as a field of a candidate; Google counts bytes, not characters."""
    found = []
    for annotation in annotations if isinstance(annotations, list) else ():
        citation = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if isinstance(citation, dict) and citation.get("url"):
            source = {"startIndex": citation.get("start_index"), "endIndex": citation.get("end_index")}
            spans = {name: len(text[:at].encode()) for name, at in source.items() if type(at) is int}
            title = {"title": str(citation["title"])} if citation.get("title") else {}
            found.append({**spans, "uri": str(citation["url"]), **title})
    return {"citationMetadata": {"citationSources": found}} if found else {}


def usage_of(told: Any) -> Object | None:
    """The usage in Google's counts, where candidates leave out what was thought."""
    if not isinstance(told, dict):
        return None
    read, made = told.get("prompt_tokens_details"), told.get("completion_tokens_details")
    read = read if isinstance(read, dict) else {}
    made = made if isinstance(made, dict) else {}
    return usage_metadata(
        prompt=count(told.get("prompt_tokens")),
        output=count(told.get("completion_tokens")),
        cached=count(read.get("cached_tokens")),
        thoughts=count(made.get("reasoning_tokens")),
        audio_prompt=count(read.get("audio_tokens")),
        audio_output=count(made.get("audio_tokens")),
    )
