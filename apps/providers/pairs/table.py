# SPDX-License-Identifier: Apache-2.0
"""Translations between wire dialects, by (client dialect, provider dialect); none is needed within one dialect."""

from apps.providers.pairs import (
    anthropic_gemini,
    anthropic_openai,
    embeddings,
    gemini_anthropic,
    gemini_openai,
    openai_anthropic,
    openai_gemini,
)
from apps.providers.pairs.completions import Completions
from apps.providers.pairs.pair import Pair

TABLE: dict[tuple[str, str], Pair] = {
    ("openai", "anthropic"): openai_anthropic.PAIR,
    ("openai", "gemini"): openai_gemini.PAIR,
    ("anthropic", "openai"): anthropic_openai.PAIR,
    ("anthropic", "gemini"): anthropic_gemini.PAIR,
    ("gemini", "openai"): gemini_openai.PAIR,
    ("gemini", "anthropic"): gemini_anthropic.PAIR,
}
# Text completions are chats to every provider.
COMPLETIONS: dict[tuple[str, str], Pair] = {
    ("openai-completions", name): Completions(TABLE.get(("openai", name)))
    for name in ("openai", "anthropic", "gemini")
}
# Requests for vectors, by the name that `apps.providers.dialects.embeddings` gives the provider's side.
VECTORS: dict[tuple[str, str], Pair] = {
    ("openai", "gemini_embeddings"): embeddings.OPENAI_GEMINI,
    ("gemini", "openai_embeddings"): embeddings.GEMINI_OPENAI,
}
