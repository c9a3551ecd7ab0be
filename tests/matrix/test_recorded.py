# SPDX-License-Identifier: Apache-2.0
"""Real programs' requests, as they were recorded, in front of every provider; `make matrix` runs these as well."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.matrix.cells import OWN, PROVIDERS
from tests.matrix.conftest import Endpoints
from tests.matrix.page import RECORDED
from tests.upstreams.recorded.scrub import FOLDER
from tests.upstreams.running import PLAIN, Upstream

pytestmark = [pytest.mark.matrix]

RECORDINGS = {name: json.loads((FOLDER / f"{file}.json").read_text()) for name, (file, _) in RECORDED.items()}
CASES = [
    pytest.param(name, at, provider, id=f"{name}|{at}|{provider}")
    for name, found in RECORDINGS.items()
    for at in range(len(found["requests"]))
    for provider in PROVIDERS
]


@pytest.mark.parametrize(("name", "at", "provider"), CASES)
def test_a_recorded_request_passes(
    endpoints: Endpoints,
    upstreams: dict[str, Upstream],
    record_property: Callable[[str, Any], None],
    name: str,
    at: int,
    provider: str,
) -> None:
    client = RECORDED[name][1]
    record_property("cell", f"{name}|{client}|{provider}|request {at}")
    # Claude Code has its models think; the agents SDK sets a temperature, which models that think refuse.
    request, endpoint = RECORDINGS[name]["requests"][at], endpoints(provider, client == "anthropic")
    body = request["body"] | {"model": endpoint.model}

    answer = httpx.post(
        f"{endpoint.root}{request['path']}",
        params=request["query"],
        json=body,
        headers=request["headers"] | {"authorization": f"Bearer {endpoint.key}"},
        timeout=60,
        verify=PLAIN,
    )

    assert answer.status_code == 200, answer.text
    if request["path"].endswith("/count_tokens"):
        assert answer.json()["input_tokens"] > 0
    elif OWN[client] == provider:
        arrived = arrived_at(upstreams[provider], answer.headers["x-request-id"])
        assert arrived | body == arrived | {"model": endpoint.model}
        # The gateway asks for the usage of a stream itself where the client does not.
        assert arrived.keys() - body.keys() <= {"stream_options"}


def arrived_at(upstream: Upstream, request_id: str) -> dict[str, Any]:
    """What the provider got of a request; its log is written after its answer went out."""
    for _ in range(1000):
        for line in upstream.lines():
            if line["request_id"] == request_id:
                found: dict[str, Any] = json.loads(line["body"])
                return found
        time.sleep(0.02)
    pytest.fail(f"the provider's log does not know {request_id}")
