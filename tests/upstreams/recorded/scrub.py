# SPDX-License-Identifier: Apache-2.0
"""Makes a recording from an upstream's log: `python -m tests.upstreams.recorded.scrub LOG NAME PACKAGE VERSION LINE…`.

Prose belongs to whoever wrote it, and paths, names and ids to the machine it was recorded on. Texts are replaced by
filler of the same length; what says how a request is built (names, types, enumerations, cache marks, order) stays.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
# Texts that a person reads, and how long one may be that still says what a block is.
PROSE = {"text": 80, "description": 0, "content": 80, "thinking": 0, "instructions": 0}
_FILLER = "The quick brown fox jumps over the lazy dog while it rains in Bern and nobody minds. "
_IDENTITY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b")
_PATH = re.compile(r"(?<![\w/:])/(?:home|root|tmp|work|Users|var)[\w./-]*")


def scrubbed(value: Any, name: str = "") -> Any:
    """The same structure with other words."""
    if isinstance(value, dict):
        return {key: scrubbed(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [scrubbed(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if len(value) > PROSE.get(name, len(value)):
        return (_FILLER * (len(value) // len(_FILLER) + 1))[: len(value)]
    value = _IDENTITY.sub(lambda found: re.sub(r"[0-9a-f]", "0", found[0]), value)
    return _PATH.sub("/home/dana/project", value)


def recording(log: Path, package: str, version: str, lines: list[int]) -> dict[str, Any]:
    """The chosen lines of a log that was written with `--bodies`."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    requests = [
        {
            "path": rows[at]["path"],
            "query": dict.fromkeys(rows[at]["query"], "true"),
            "headers": rows[at]["headers"],
            "body": scrubbed(json.loads(rows[at]["body"])),
        }
        for at in lines
    ]
    return {"package": package, "version": version, "requests": requests}


def main() -> None:
    """Write one file."""
    log, name, package, version, *lines = sys.argv[1:]
    made = recording(Path(log), package, version, [int(line) for line in lines])
    (FOLDER / f"{name}.json").write_text(
        json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
