# SPDX-License-Identifier: Apache-2.0
"""The exchanges of this process whose end has not come, or whose charge has not arrived where it is counted."""

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic

import msgspec

from apps.core.limits import KEEP_ALIVE_SECONDS
from apps.keys.domain import OpenRecord
from apps.keys.stage import Admission

MAX_UNSETTLED = 100_000


class Handle(msgspec.Struct):
    """One exchange under way: how to end it early, and how to keep its silent stream alive."""

    task: "asyncio.Task[object] | None"
    cut: str = ""
    whisper: Callable[[], None] | None = None
    spoke_at: float = 0.0

    def end(self, why: str) -> None:
        """Interrupt the exchange once; `why` is client or drain."""
        if not self.cut and self.task is not None and not self.task.done():
            self.cut = why
            self.task.cancel(why)


class UnderWay:
    """Handles by request id, admissions until their record is journalled, charges until they are settled."""

    def __init__(self) -> None:
        self._handles: dict[str, Handle] = {}
        self._open: dict[str, Admission] = {}
        self._unsettled: dict[str, tuple[Admission, int]] = {}

    def __len__(self) -> int:
        return len(self._handles)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(1 for _ in self._whispering())

    def begin(self, request_id: str) -> Handle:
        """A request's body is there: from here on it can be ended from outside."""
        handle = self._handles[request_id] = Handle(asyncio.current_task())
        return handle

    def leave(self, request_id: str) -> None:
        """The exchange is over, however it ended."""
        self._handles.pop(request_id, None)

    def admitted(self, request_id: str, admission: Admission) -> None:
        """Something is reserved for this exchange."""
        self._open[request_id] = admission

    def journalled(self, request_id: str, charged: int) -> None:
        """The record is written: from here on the charge counts, wherever it is settled."""
        admission = self._open.pop(request_id, None)
        if admission is not None and admission.open is not None and len(self._unsettled) < MAX_UNSETTLED:
            self._unsettled[request_id] = (admission, charged)

    def settled(self, request_id: str) -> None:
        """The charge arrived."""
        self._unsettled.pop(request_id, None)

    def settling(self, answer: "asyncio.Future[object]", request_id: str, again: Callable[[], None]) -> None:
        """A charge is on its way: it is forgotten once it arrived, else `again` is called."""

        def arrived(done: "asyncio.Future[object]") -> None:
            if done.cancelled() or done.exception() is not None:
                again()
            else:
                self._unsettled.pop(request_id, None)

        answer.add_done_callback(arrived)

    def unsettled(self) -> list[tuple[Admission, int]]:
        """Charges that have not arrived."""
        return list(self._unsettled.values())

    def forget_settled_and_list_open(self) -> list[tuple[OpenRecord, tuple[int, ...]]]:
        """After the store lost its counters: journalled charges are counted from records, open ones are listed."""
        self._unsettled = {}
        return [
            (admission.open, admission.windows)
            for admission in self._open.values()
            if admission.open is not None and not admission.guessed
        ]

    def keep_alive(self) -> None:
        """Let every stream that was silent for too long say that it lives."""
        silent = monotonic() - KEEP_ALIVE_SECONDS
        for handle in self._whispering():
            if handle.spoke_at < silent:
                handle.spoke_at = monotonic()
                if handle.whisper is not None:
                    handle.whisper()

    def cut_all(self, why: str) -> None:
        """End every exchange that is still under way."""
        for handle in list(self._handles.values()):
            handle.end(why)

    def _whispering(self) -> Iterator[Handle]:
        return (handle for handle in list(self._handles.values()) if handle.whisper is not None)
