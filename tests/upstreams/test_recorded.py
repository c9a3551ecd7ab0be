# SPDX-License-Identifier: Apache-2.0
"""What real programs send is accepted by the stand-ins as it was recorded, and tells nothing of where that was."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.upstreams.recorded.scrub import FOLDER, scrubbed
from tests.upstreams.running import PLAIN, Upstream, running

RECORDINGS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
SERVERS = {"claude_code": "anthropic", "openai_agents": "openai"}
REQUESTS = [(name, at) for name, found in RECORDINGS.items() for at in range(len(found["requests"]))]


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    folder = tmp_path_factory.mktemp("recorded")
    with (
        running(folder / "openai", strict=True) as openai,
        running(folder / "anthropic", server="anthropic") as anthropic,
    ):
        yield {"openai": openai, "anthropic": anthropic}


@pytest.mark.parametrize(("name", "at"), REQUESTS, ids=[f"{name}-{at}" for name, at in REQUESTS])
def test_a_recorded_request_is_accepted(upstreams: dict[str, Upstream], name: str, at: int) -> None:
    request = RECORDINGS[name]["requests"][at]
    upstream = upstreams[SERVERS[name]]
    headers = request["headers"] | {"authorization": "Bearer none"}

    answer = httpx.post(
        f"{upstream.root}{request['path']}",
        params=request["query"],
        json=request["body"],
        headers=headers,
        timeout=20,
        verify=PLAIN,
    )

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_names_its_program_and_no_machine(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")

    assert RECORDINGS[name]["package"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", RECORDINGS[name]["version"])
    assert re.findall(r"(?<![\w/:])/(?:root|tmp|work|Users|var)/[\w./-]*", text) == []
    assert [
        found for found in re.findall(r"\b(?=\d*[a-f])[0-9a-f]{16,}\b", text) if set(found) != {"0"}
    ] == []


def test_claude_code_marks_its_cache_has_many_tools_and_counts() -> None:
    requests = RECORDINGS["claude_code"]["requests"]
    first: dict[str, Any] = requests[0]["body"]

    assert len(first["tools"]) > 10
    assert sum(len(block["text"]) for block in first["system"]) > 20_000
    assert [block for block in first["system"] if block.get("cache_control") == {"type": "ephemeral"}]
    assert any(request["path"].endswith("/count_tokens") for request in requests)


def test_scrubbing_keeps_the_shape(tmp_path: Path) -> None:
    long = "word " * 40
    found = scrubbed(
        {
            "text": long,
            "type": "text",
            "name": "Read",
            "id": "12345678-1234-1234-1234-123456789abc",
            "p": "/var/a/b",
        }
    )

    assert len(found["text"]) == len(long)
    assert "word" not in found["text"]
    assert (found["type"], found["name"]) == ("text", "Read")
    assert found["id"] == "00000000-0000-0000-0000-000000000000"
    assert found["p"] == "/home/dana/project"
