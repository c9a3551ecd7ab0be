# SPDX-License-Identifier: Apache-2.0
"""What the data plane can be asked for, by the call of a `Place`; each goes through the whole path of a request."""

from collections.abc import Awaitable, Callable

from apps.core.outcome import Refuse
from apps.gateway import pipeline, places
from apps.gateway.calls import counting, embedding, passing
from apps.gateway.exchange import Exchange
from apps.gateway.pipeline import Answer
from apps.gateway.places import Place
from apps.gateway.rooms import Rooms
from apps.gateway.stream import Stream

# Identify was done from the head of the request; everything from reading the body to the answer happens in here.
Run = Callable[[Exchange, Rooms, bytes, Place], Awaitable[Answer | Stream | Refuse]]
TABLE: dict[str, Run] = {
    places.CHAT: pipeline.chat,
    places.COUNT: counting.run,
    places.PASSING: passing.run,
    places.EMBEDDING: embedding.run,
}
