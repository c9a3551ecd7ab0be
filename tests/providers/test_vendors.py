# SPDX-License-Identifier: Apache-2.0
"""Vendors: the data is sound, and each quirk does to a request and an answer what it says."""

import json
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from apps.providers import fields
from apps.providers.dialects import TABLE
from apps.providers.pairs.pair import InexpressibleError
from apps.providers.stage import Question, Route, _translated
from apps.providers.vendors import VENDORS, Vendor, quirks_of, spoken

HELLO = [{"role": "user", "content": "Hello"}]
WANTED = {
    "openai", "anthropic", "gemini", "mistral", "groq", "deepseek", "xai", "together", "fireworks", "openrouter",
    "cerebras", "sambanova", "perplexity", "nvidia", "huggingface", "deepinfra", "hyperbolic", "novita", "nebius",
    "moonshot", "zai", "minimax", "dashscope", "tencent", "baidu", "baichuan", "stepfun", "ai21", "cohere", "github",
    "databricks", "azure", "ollama", "vllm", "llamacpp", "lmstudio",
}  # fmt: skip


def sent(vendor: str, **more: Any) -> dict[str, Any]:
    """What a vendor is sent for a request in OpenAI's dialect."""
    body = spoken("openai", vendor).encode({"model": "ours", "messages": HELLO, **more}, "theirs")
    found: dict[str, Any] = json.loads(body)
    assert found.pop("model") == "theirs"
    assert found.pop("messages") == HELLO
    return found


def route(vendor: str) -> Route:
    """A route to a vendor."""
    row = VENDORS[vendor]
    return Route(
        target_id="tgt_1",
        target="one",
        provider=row.name,
        upstream_model="theirs",
        base_url=row.base_url,
        dialect=spoken(row.dialect, vendor),
        credential="",
        quirks=quirks_of(row.dialect, vendor),
    )


def test_everybody_is_there() -> None:
    assert set(VENDORS) == WANTED


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.id)
def test_the_data_of_a_vendor_is_sound(vendor: Vendor) -> None:
    address = urlsplit(vendor.base_url.replace("{", "").replace("}", ""))
    local = address.hostname == "localhost"
    assert address.scheme == ("http" if local else "https")
    assert local == (vendor.auth == "none")
    assert not vendor.base_url.endswith("/")
    assert vendor.incomplete == ("{" in vendor.base_url)
    assert vendor.dialect in TABLE
    assert urlsplit(vendor.source).scheme == "https"
    assert (vendor.auth == "header") == bool(vendor.auth_header)
    assert set(vendor.allows) <= set(vendor.refuses)
    assert not set(vendor.refuses) & (set(vendor.drops) | set(vendor.renames))
    assert not set(vendor.drops) & set(vendor.renames)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.id)
def test_the_credential_goes_where_the_vendor_wants_it(vendor: Vendor) -> None:
    said = dict(spoken(vendor.dialect, vendor.id).headers("secret"))
    wanted = (vendor.auth_header, "secret") if vendor.auth == "header" else ("authorization", "Bearer secret")
    assert [(name, value) for name, value in said.items() if "secret" in value] == [wanted]
    assert "secret" not in str(spoken(vendor.dialect, vendor.id).headers(""))


def test_who_has_no_quirks_speaks_the_plain_dialect() -> None:
    for vendor in ("openai", "together", "vllm", "", "unknown"):
        assert spoken("openai", vendor) is TABLE["openai"]
        assert quirks_of("openai", vendor) is None
    assert spoken("anthropic", "groq") is TABLE["anthropic"]


def test_a_misspelt_quirk_is_found_when_the_data_is_read() -> None:
    row = {"id": "x", "name": "X", "base_url": "https://x", "source": "https://x", "checked": "2026-11-25"}
    with pytest.raises(msgspec.ValidationError, match="renamse"):
        msgspec.convert(row | {"renamse": {}}, Vendor)


def test_renames() -> None:
    assert sent("mistral", max_completion_tokens=5, seed=3) == {"max_tokens": 5, "random_seed": 3}
    assert sent("mistral", max_tokens=4) == {"max_tokens": 4}
    assert sent("mistral", max_completion_tokens=None, max_tokens=4) == {"max_tokens": 4}


def test_the_limit_that_was_reserved_for_is_the_one_that_is_sent() -> None:
    assert sent("mistral", max_completion_tokens=5, max_tokens=4000) == {"max_tokens": 5}


def test_what_says_nothing_is_left_out() -> None:
    assert sent("mistral", user="dana", store=True, logit_bias={}) == {}
    assert sent("groq", n=1, user="dana") == {"user": "dana"}
    assert sent("cerebras", frequency_penalty=0.0, service_tier="auto") == {}


def test_usage_is_not_asked_for_where_that_is_refused() -> None:
    assert sent("mistral", stream=True) == {"stream": True}
    assert sent("groq", stream=True) == {"stream": True, "stream_options": {"include_usage": True}}


def test_extra_headers() -> None:
    assert ("x-github-api-version", "2022-11-28") in spoken("openai", "github").headers("k")


@pytest.mark.parametrize(
    ("vendor", "event"),
    [
        ("groq", {"choices": [], "x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}}),
        (
            "moonshot",
            {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 7, "completion_tokens": 2}}]},
        ),
    ],
)
def test_usage_in_odd_places(vendor: str, event: dict[str, Any]) -> None:
    piece = spoken("openai", vendor).decode_event(json.dumps(event).encode())
    assert piece.usage is not None
    assert (piece.usage.input, piece.usage.output) == (7, 2)
    # Translations find it where OpenAI puts it.
    assert piece.chunk is not None
    assert piece.chunk["usage"]["prompt_tokens"] == 7
    plain = spoken("openai", vendor).decode_event(b'{"choices": [{"index": 0, "delta": {"content": "x"}}]}')
    assert plain.usage is None


@pytest.mark.parametrize("name", ["prompt_cache_hit_tokens", "cached_tokens"])
def test_cached_input_under_other_names(name: str) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, name: 4}
    whole = TABLE["openai"].decode(json.dumps({"choices": [], "usage": usage}).encode())
    assert whole.usage is not None
    assert whole.usage.cache_read == 4


@pytest.mark.parametrize(
    ("dialect", "more", "param"),
    [
        ("openai", {"messages": HELLO, "n": 2}, "n"),
        ("openai", {"messages": HELLO, "logprobs": True}, "logprobs"),
        (
            "gemini",
            {
                "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
                "generationConfig": {"candidateCount": 2},
            },
            "generationConfig.candidateCount",
        ),
    ],
)
def test_what_a_vendor_cannot_be_told_names_the_client_s_field(
    dialect: str, more: dict[str, Any], param: str
) -> None:
    question = Question(dialect=dialect, fields={"model": "m", **more}, stream=False)
    with pytest.raises(InexpressibleError) as fault:
        _translated(question, route("groq"))
    assert fault.value.param == param
    dropping = msgspec.structs.replace(question, drop=True)
    body, _, _ = _translated(dropping, route("groq"))
    assert not {"n", "logprobs"} & json.loads(route("groq").dialect.encode(body, "theirs")).keys()


def test_every_refusable_field_has_a_name_in_every_dialect_that_can_say_it() -> None:
    """Renamed and refused fields that a translation can produce are told in the client's words."""
    refused = {name for vendor in VENDORS.values() for name in vendor.refuses}
    assert fields.own_name("gemini", "n") == "generationConfig.candidateCount"
    assert fields.own_name("anthropic", "parallel_tool_calls").startswith("tool_choice.")
    spoken_by_gemini = refused - {"logit_bias", "audio", "tools", "parallel_tool_calls"}
    assert spoken_by_gemini <= set(fields.OWN_NAMES["gemini"])
