# SPDX-License-Identifier: Apache-2.0
"""Signatures pass through the other dialect unchanged, and never reach a provider that did not make them."""

from base64 import urlsafe_b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.dialects import signatures
from apps.providers.dialects.signatures import own_signatures, own_thinking

Body = dict[str, Any]
PLACES = (signatures.SELF, signatures.NEXT, signatures.BEFORE, signatures.ALONE)
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCgIYAhIM"}
CARRIED = {"type": "thinking", "thinking": "", "signature": "gemini-next:c2ln"}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"}
CALL = {"functionCall": {"name": "f", "args": {}}}


@given(st.text(min_size=1), st.sampled_from(PLACES))
def test_geminis_signature_comes_back_from_anthropics_clients(signature: str, place: str) -> None:
    assert signatures.to_gemini(signatures.from_gemini(signature, place)) == (place, signature)


@pytest.mark.parametrize(
    "other", ["", "unsigned", "gemini-", "gemini-next:", "gemini-where:c2ln", "EqQB:CgIY", "next:c2ln"]
)
def test_other_signatures_are_not_geminis(other: str) -> None:
    assert signatures.to_gemini(other) is None


@given(st.lists(st.builds(lambda w, s: {"type": "thinking", "thinking": w, "signature": s}, st.text(), st.text())
                | st.builds(lambda d: {"type": "redacted_thinking", "data": d}, st.text())))  # fmt: skip
def test_anthropics_thinking_comes_back_from_geminis_clients(blocks: list[Body]) -> None:
    carried = signatures.from_anthropic(blocks)
    assert urlsafe_b64decode(carried)
    assert signatures.to_anthropic(carried) == blocks


@pytest.mark.parametrize("changed", ["A", "AAAA", "****", "bm9uZQ=="])
def test_what_was_changed_is_not_taken(changed: str) -> None:
    whole = signatures.from_anthropic([SIGNED])
    with pytest.raises(ValueError, match="was changed"):
        signatures.to_anthropic(whole[:24] + changed)
    assert signatures.to_anthropic(changed + whole) is None


def test_anthropic_gets_only_its_own_thinking() -> None:
    text = {"type": "text", "text": "Yes."}
    content = [CARRIED, text, UNSIGNED, SIGNED]
    fields = {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": content}],
    }
    assert own_thinking(fields)["messages"] == [
        fields["messages"][0],
        {"role": "assistant", "content": [text, SIGNED]},
    ]
    assert content == [CARRIED, text, UNSIGNED, SIGNED]
    alone = {"messages": [{"role": "assistant", "content": [CARRIED]}, {"role": "user", "content": "?"}]}
    assert own_thinking(alone)["messages"] == [{"role": "user", "content": "?"}]


@pytest.mark.parametrize(("model", "stand_in"), [("gemini-3.1-pro", True), ("gemini-2.5-flash", False)])
def test_gemini_gets_only_its_own_signatures(model: str, stand_in: bool) -> None:
    carried = signatures.from_anthropic([SIGNED])
    own = {"text": "a", "thoughtSignature": "c2ln"}
    parts = [{"text": "b", "thoughtSignature": carried}, {**CALL, "thoughtSignature": carried}, own]
    call = {**CALL, "thoughtSignature": "skip_thought_signature_validator"} if stand_in else CALL
    fields = {"contents": [{"role": "model", "parts": parts}]}
    assert own_signatures(fields, model)["contents"] == [
        {"role": "model", "parts": [{"text": "b"}, call, own]}
    ]
    assert parts[0]["thoughtSignature"] == carried


@pytest.mark.parametrize(
    "fields",
    [{}, {"messages": 5}, {"messages": [5, {"content": [5, {"type": "thinking", "signature": 5}, SIGNED]}]},
     {"contents": "a"}, {"contents": [5, {"parts": [5, {"thoughtSignature": 5}, CALL]}]}],
)  # fmt: skip
def test_a_request_with_nothing_foreign_is_the_same_object(fields: Body) -> None:
    assert own_thinking(fields) is fields
    assert own_signatures(fields, "gemini-3.1-pro") is fields
