# SPDX-License-Identifier: Apache-2.0
"""One file per wire dialect, and the table that names them; how to add one is in docs/how-to/add-a-dialect.md."""

from apps.providers.dialects import anthropic, gemini, openai
from apps.providers.dialects.dialect import Dialect

TABLE: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (openai.DIALECT, anthropic.DIALECT, gemini.DIALECT)
}
