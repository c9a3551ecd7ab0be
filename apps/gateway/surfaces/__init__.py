# SPDX-License-Identifier: Apache-2.0
"""The dialects clients speak, by name; how to add one is in docs/how-to/add-a-dialect.md."""

from apps.gateway.surfaces import anthropic, gemini, openai
from apps.gateway.surfaces.surface import Surface

TABLE: dict[str, Surface] = {
    surface.name: surface for surface in (openai.SURFACE, anthropic.SURFACE, gemini.SURFACE)
}
