# SPDX-License-Identifier: Apache-2.0
"""Why a Gemini answer ended: the groups that other dialects can tell apart."""

from collections.abc import Mapping
from typing import Any

# The answer is whole; with function calls in it, it waits for their results.
WHOLE = frozenset({"STOP"})
LENGTH = frozenset({"MAX_TOKENS", "CONTINUATION"})
# A filter of Google's, or the model itself, held the answer back.
FILTERED = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION", "PUP_LIMITED_DISABLED", "MODEL_ARMOR",
    }
)  # fmt: skip
# The model failed: what it said, if anything, is no answer.
FAILED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE", "OTHER", "IMAGE_OTHER", "NO_IMAGE",
    }
)  # fmt: skip


def openai_reason(reason: str, *, calls: bool) -> str:
    """OpenAI's word for it; reasons that are new or mean a failure never look like a whole answer."""
    if reason in WHOLE:
        return "tool_calls" if calls else "stop"
    return "length" if reason in LENGTH else "content_filter"


def block_reason(body: Mapping[str, Any]) -> str:
    """Why the prompt itself was refused; empty when it was not."""
    feedback = body.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return str(reason) if reason else ""


def block_text(body: Mapping[str, Any]) -> str:
    """The refusal of a prompt as a sentence; empty when it was not refused."""
    reason = block_reason(body)
    if not reason:
        return ""
    message = body["promptFeedback"].get("blockReasonMessage")
    return str(message) if message else f"The provider refused the prompt: {reason}."


def finish_text(candidate: Mapping[str, Any]) -> str:
    """What is said about an answer that was held back or failed; empty for others."""
    reason = str(candidate.get("finishReason") or "")
    if reason in WHOLE or reason in LENGTH or not reason:
        return ""
    return str(candidate.get("finishMessage") or f"The provider ended the answer: {reason}.")
