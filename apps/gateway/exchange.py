# SPDX-License-Identifier: Apache-2.0
"""One request and its answer while they are under way; the finished `record` is the VAS record."""

from collections.abc import Mapping
from time import perf_counter_ns

import msgspec
from msgspec import field

from apps.audit.domain import Evaluation, Record, Stage
from apps.core import ids
from apps.core.outcome import Refuse
from apps.gateway.snapshot import View
from apps.gateway.surfaces import openai
from apps.gateway.surfaces.surface import ChatRequest, Surface
from apps.gateway.wire import Wishes
from apps.keys.domain import Caller
from apps.keys.stage import Admission
from apps.policies.domain import Facts
from apps.providers.domain import Model, Usage
from apps.providers.stage import Tried
from apps.routing.domain import Target


class Asked(msgspec.Struct, frozen=True):
    """The head of a request as it was sent: path and query without any decoding."""

    method: str
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]


class Exchange(msgspec.Struct):
    """Filled by the pipeline alone, step after step."""

    record: Record
    began: int = field(default_factory=perf_counter_ns)
    surface: Surface = openai.SURFACE
    wishes: Wishes = field(default_factory=Wishes)
    # What the client says about its own dialect, for providers who speak it too.
    told: tuple[tuple[str, str], ...] = ()
    # The head of a request that is to be passed through.
    asked: Asked | None = None
    caller: Caller | None = None
    view: View | None = None
    request: ChatRequest | None = None
    model: Model | None = None
    # The providers that the name in the request asks for; None where it leaves that to the routing.
    only_at: frozenset[str] | None = None
    facts: Facts = field(default_factory=Facts)
    admission: Admission | None = None
    cacheable: bool = False
    # Asks for no model's answer: nothing is reserved, used or charged.
    free: bool = False
    tried: list[Tried] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    # The request's bytes until what it may cost is reserved, the targets to try, and its likely tokens at each.
    body: bytes = b""
    plan: tuple[Target, ...] | Refuse | None = None
    likely: dict[str, int] = field(default_factory=dict)
    # Micro-dollars that it costs whatever is used; None where the usage decides.
    fixed: int | None = None
    usage: Usage | None = None
    # What was produced, for cancels and for providers that do not say.
    produced_chars: int = 0
    prompt_kept: bytes = b""
    answer_kept: bytes = b""
    recorded: bool = False
    # Fields the provider could not be told and the client let go.
    dropped: list[str] = field(default_factory=list)

    def stage(self, name: str, since: int) -> int:
        """Note a stage that began at `since` and ends now; returns now, nanoseconds of the process's clock."""
        at = perf_counter_ns()
        self.stages.append(Stage(name, (since - self.began) // 1000, (at - since) // 1000))
        return at

    def add_evaluations(self, found: tuple[Evaluation, ...]) -> None:
        """Note what policies found."""
        if found:
            self.record.evaluations += found


def begin(path: str, surface: Surface, client_ip: str, user_agent: str) -> Exchange:
    """An exchange whose first byte has just come."""
    record = Record(
        id=ids.new("req"), path=path, dialect=surface.name, client_ip=client_ip, user_agent=user_agent
    )
    return Exchange(record, surface=surface)
