# SPDX-License-Identifier: Apache-2.0
"""A Gemini-speaking upstream on a raw socket: `python -m tests.upstreams.gemini_server --log FILE`.

It behaves as `script.py` says and turns down what Gemini turns down: see `gemini_rules.py`.
"""

from dataclasses import replace

from tests.upstreams import gemini_answers as answers
from tests.upstreams import gemini_rules as rules
from tests.upstreams import plan
from tests.upstreams.rules import RejectedError
from tests.upstreams.script import ScriptError, script_of
from tests.upstreams.wire import Reply, Request, arguments, run, sse


class Gemini:
    """Gemini's paths, in all three versions."""

    def answer(self, request: Request) -> Reply:
        """What Gemini says."""
        try:
            return self._answered(request)
        except RejectedError as fault:
            body = rules.error(fault.status, fault.message)
            return Reply(status=fault.status, body=body, problem=str(fault), model=fault.model)
        except ScriptError as fault:
            return Reply(status=404, body=rules.error(404, str(fault)), problem=str(fault))

    def _answered(self, request: Request) -> Reply:
        body = rules.admit(request)
        if request.path.endswith("/models"):
            return Reply(body=answers.models())
        model, method = rules.target(request.path)
        if rules.METHODS[method] in ("embed", "batch_embed"):
            return Reply(model=model, body=answers.vectors(body))
        # A count may be asked of a whole request under a name of its own.
        asked = answers.Asked(request.body, body.get("generateContentRequest", body), model)
        script = script_of(model, asked.prompt)
        stream = method == "streamGenerateContent"
        # When to come back is said in the body, never in a header.
        reply = Reply(replace(script, retry=""), model, stream, script.status)
        text = plan.text_of(script, asked, request.headers)
        if script.status != 200:
            said = f"The upstream refuses with {script.status}."
            reply.body = rules.error(script.status, said, rules.retry_info(script.retry))
        elif method == "countTokens":
            reply.body = answers.count(asked)
        elif stream and request.query.get("alt") == "sse":
            reply.events = answers.events(script, asked, text)
            said = "The model is overloaded. Please try again later."
            reply.broken = sse(script, rules.error(503, said).decode())
        elif stream:
            chunk = answers.whole(script, asked, text)
            reply.body = b"[" + chunk + b"]"
        else:
            reply.body = answers.whole(script, asked, text)
        return reply


def main() -> None:
    """Serve until a signal comes."""
    run(Gemini(), arguments("gemini_server", __doc__).parse_args())


if __name__ == "__main__":
    main()
