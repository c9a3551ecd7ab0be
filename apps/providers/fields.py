# SPDX-License-Identifier: Apache-2.0
"""How clients of other dialects call the fields of a chat completion, for errors that must name the client's own."""

from collections.abc import Mapping

_CONFIG = "generationConfig"
OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    "anthropic": {
        "response_format": "output_config.format",
        "reasoning_effort": "thinking",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
    },
    "gemini": {
        "n": f"{_CONFIG}.candidateCount",
        "seed": f"{_CONFIG}.seed",
        "logprobs": f"{_CONFIG}.responseLogprobs",
        "top_logprobs": f"{_CONFIG}.logprobs",
        "presence_penalty": f"{_CONFIG}.presencePenalty",
        "frequency_penalty": f"{_CONFIG}.frequencyPenalty",
        "response_format": f"{_CONFIG}.responseMimeType",
        "reasoning_effort": f"{_CONFIG}.thinkingConfig",
        "tool_choice": "toolConfig.functionCallingConfig",
        "stop": f"{_CONFIG}.stopSequences",
        "modalities": f"{_CONFIG}.responseModalities",
        "service_tier": "serviceTier",
    },
}


def own_name(dialect: str, name: str) -> str:
    """The client's word for a field of a chat completion."""
    return OWN_NAMES.get(dialect, {}).get(name, name)
