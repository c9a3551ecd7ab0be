# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-speaking upstream on a raw socket: `python -m tests.upstreams.openai_server --log FILE`.

It behaves as `script.py` says. With `--strict` it turns down what OpenAI turns down: see `openai_rules.py`.
"""

import json

from tests.upstreams import answers, openai_more, openai_rules, plan
from tests.upstreams.rules import RejectedError
from tests.upstreams.script import PLAIN, Script, ScriptError, script_of
from tests.upstreams.wire import Reply, Request, arguments, run, sse


class OpenAI:
    """OpenAI's paths, below any prefix."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def answer(self, request: Request) -> Reply:
        """What OpenAI says."""
        try:
            return self._answered(request)
        except RejectedError as fault:
            body = openai_rules.error(fault)
            return Reply(status=fault.status, body=body, problem=str(fault), model=fault.model)
        except (ValueError, AttributeError, TypeError) as fault:
            status = 404 if isinstance(fault, ScriptError) else 400
            return Reply(status=status, body=json.dumps({"error": str(fault)}).encode(), problem=str(fault))

    def _answered(self, request: Request) -> Reply:
        if self.strict:
            openai_rules.admit(request)
        if request.path.endswith("/models"):
            return Reply(body=openai_more.models() if self.strict else b'{"object":"list","data":[]}')
        if request.path.endswith("/embeddings"):
            return _scripted(openai_more.AskedVectors(request.body))
        if request.path.endswith("/completions") and not request.path.endswith("/chat/completions"):
            return _completed(openai_more.AskedText(request.body), request)
        asked = answers.Asked(request.body)
        script = script_of(asked.model, asked.prompt)
        reply = Reply(script, asked.model, asked.stream, script.status)
        if script.status != 200:
            reply.body = answers.error(script.status)
            return reply
        text = plan.text_of(script, asked, request.headers)
        if asked.stream:
            reply.events = answers.events(script, asked, text)
            _ending(reply)
        else:
            reply.body = answers.whole(script, asked, text)
        return reply


def _ending(reply: Reply) -> None:
    """How a stream ends, well or badly."""
    reply.broken = sse(reply.script, answers.error(500).decode())
    reply.last = sse(reply.script, "[DONE]") if reply.script.done else b""


def _scripted(asked: openai_more.AskedVectors) -> Reply:
    script = _script(asked.model, asked.texts[-1] if asked.texts else "")
    body = answers.error(script.status) if script.status != 200 else openai_more.vectors(script, asked)
    return Reply(script, asked.model, status=script.status, body=body)


def _completed(asked: openai_more.AskedText, request: Request) -> Reply:
    script = _script(asked.model, asked.prompt)
    reply = Reply(script, asked.model, asked.stream, script.status)
    if script.status != 200:
        reply.body = answers.error(script.status)
    elif asked.stream:
        reply.events = openai_more.completion_events(
            script, asked, plan.text_of(script, asked, request.headers)
        )
        _ending(reply)
    else:
        reply.body = openai_more.completion(script, asked, plan.text_of(script, asked, request.headers))
    return reply


def _script(model: str, prompt: str) -> Script:
    return script_of(model, prompt) if model or prompt else PLAIN


def main() -> None:
    """Serve until a signal comes."""
    parser = arguments("openai_server", __doc__)
    parser.add_argument("--strict", action="store_true", help="turn down what OpenAI turns down")
    options = parser.parse_args()
    run(OpenAI(strict=options.strict), options)


if __name__ == "__main__":
    main()
