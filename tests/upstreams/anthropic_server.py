# SPDX-License-Identifier: Apache-2.0
"""An Anthropic-speaking upstream on a raw socket: `python -m tests.upstreams.anthropic_server --log FILE`.

It behaves as `script.py` says and turns down what Anthropic turns down: see `anthropic_rules.py`.
"""

from tests.upstreams import anthropic_answers as answers
from tests.upstreams import anthropic_rules as rules
from tests.upstreams import plan
from tests.upstreams.rules import RejectedError
from tests.upstreams.script import ScriptError, script_of
from tests.upstreams.wire import Reply, Request, arguments, run, sse

_HEADERS = {"request-id": "req_upstream"}


class Anthropic:
    """Anthropic's paths, below any prefix."""

    def answer(self, request: Request) -> Reply:
        """What Anthropic says."""
        try:
            reply = self._answered(request)
        except RejectedError as fault:
            body = rules.error(fault.status, fault.message)
            reply = Reply(status=fault.status, body=body, problem=str(fault), model=fault.model)
        except ScriptError as fault:
            reply = Reply(status=404, body=rules.error(404, str(fault)), problem=str(fault))
        reply.headers |= _HEADERS
        return reply

    def _answered(self, request: Request) -> Reply:
        rules.admit(request)
        if request.path.endswith("/models"):
            return Reply(body=answers.models())
        asked = answers.Asked(request.body)
        script = script_of(asked.model, asked.prompt)
        reply = Reply(script, asked.model, asked.stream, script.status)
        if script.status != 200:
            said = "Overloaded" if script.status == 529 else f"The upstream refuses with {script.status}."
            reply.body = rules.error(script.status, said)
        elif request.path.endswith("/count_tokens"):
            reply.body = answers.count(asked)
        elif asked.stream:
            reply.events = answers.events(script, asked, plan.text_of(script, asked, request.headers))
            reply.broken = sse(script, rules.error(529, "Overloaded").decode(), "error")
        else:
            reply.body = answers.whole(script, asked, plan.text_of(script, asked, request.headers))
        return reply


def main() -> None:
    """Serve until a signal comes."""
    run(Anthropic(), arguments("anthropic_server", __doc__).parse_args())


if __name__ == "__main__":
    main()
