# SPDX-License-Identifier: Apache-2.0
"""The lines that send a first request, ready to paste into a shell."""

import json
import shlex

from django.http import HttpRequest


def curl(request: HttpRequest, model: str) -> str:
    """A chat request to this address; the key stays a variable of the reader's shell."""
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "Say hello"}]}, ensure_ascii=False
    )
    return (
        f"curl {request.build_absolute_uri('/v1/chat/completions')} \\\n"
        '  -H "Authorization: Bearer $SMARTFLOW_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(body)}"
    )
