# SPDX-License-Identifier: Apache-2.0
"""Figures for Prometheus: each process counts in a mapped file, and /metrics adds up the files of its role.

A file outlives its process, `kill -9` included. Whoever next answers /metrics folds the files of dead processes
into a totals file, so that counters never go down; their gauges are forgotten. Text format 0.0.4
(prometheus.io/docs/instrumenting/exposition_formats).
"""

import fcntl
import mmap
import os
import secrets
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.analytics import merged
from apps.analytics.catalogue import CATALOGUE, PREFIX, Figure
from apps.audit.domain import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FILE_BYTES = 1024 * 1024
# A client chooses model names and lets detectors be made: what is beyond this many is counted as "other".
MOST_LABELS = 200
_STAGE_BOUNDS = tuple(round(bound * 1_000_000) for bound in CATALOGUE["stage_seconds"].bounds)
_CLASSES = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")


class Metrics:
    """The figures of one process; on the hot path it only adds to numbers whose places it knows."""

    def __init__(self, folder: Path, role: str) -> None:
        self._folder, self._role = folder, role
        self._fd, self._map = _mapped(folder, role)
        self._cells = memoryview(self._map).cast("d")
        self._used = 1
        self._places: dict[Any, int] = {}
        self._kinds: dict[tuple[str, str, int, bool], tuple[int, int, int, int]] = {}
        self._stages: dict[str, int] = {}
        self._histograms: dict[tuple[str, str], tuple[int, tuple[float, ...]]] = {}
        self._labels: dict[str, set[str]] = {}

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter of the catalogue, named with or without `_total`."""
        name = name if name in CATALOGUE else f"{name}_total"
        key = (name, *labels.items()) if labels else name
        place = self._places.get(key)
        self._cells[self._place(key, "c", name, labels) if place is None else place] += amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge of the catalogue."""
        key = (name, *labels.items()) if labels else name
        place = self._places.get(key)
        self._cells[self._place(key, "g", name, labels) if place is None else place] = value

    def observe(self, name: str, seconds: float, label: str = "", value: str = "") -> None:
        """Count a duration in a histogram of the catalogue."""
        found = self._histograms.get((name, value))
        first, bounds = self._histogram(name, label, value) if found is None else found
        cells = self._cells
        cells[first + bisect_left(bounds, seconds)] += 1.0
        cells[first + len(bounds) + 1] += seconds

    def exchange(self, record: Record) -> None:
        """Count a finished exchange; written for speed, every request comes through here."""
        cells, places = self._cells, self._places
        kind = (record.model, record.verdict, record.status // 100, record.stream)
        found = self._kinds.get(kind) or self._kind(kind)
        cells[found[0]] += 1.0
        if record.output_tokens or record.input_tokens:
            cells[found[1]] += record.input_tokens
            cells[found[2]] += record.output_tokens
            cells[found[3]] += record.charged
        for attempt in record.attempts:
            pair = (attempt.provider, attempt.outcome)
            place = places.get(pair) or self._attempt(pair)
            cells[place] += 1.0
        for phase in record.phases:
            tried = (phase.phase, phase.result, "phase")
            place = places.get(tried) or self._phase(tried)
            cells[place] += 1.0
        for evaluation in record.evaluations:
            for finding in evaluation.findings:
                self.count("policy_findings_total", finding.count, type=self._bounded("type", finding.type))
        stages, bounds, top = self._stages, _STAGE_BOUNDS, len(_STAGE_BOUNDS) + 1
        for stage in record.stages:
            first = stages.get(stage.name) or self._stage(stage.name)
            took = stage.took_us
            cells[first + bisect_left(bounds, took)] += 1.0
            cells[first + top] += took * 1e-6
        self.observe("request_seconds", record.total_us * 1e-6)
        self.observe("overhead_seconds", max(0, record.total_us - record.upstream_us) * 1e-6)

    def text(self, extra: Mapping[str, float] | None = None) -> str:
        """All processes of this role in this folder, living ones and what dead ones counted; `extra` are gauges."""
        return merged.text(self._folder, self._role, extra)

    def close(self) -> None:
        """Give the file up; what it counted stays in the totals."""
        if self._fd < 0:
            return
        self._cells.release()
        self._map.close()
        os.close(self._fd)
        self._fd = -1

    def _kind(self, kind: tuple[str, str, int, bool]) -> tuple[int, int, int, int]:
        """The cells of exchanges of one model, verdict, status class and form."""
        model, status = self._bounded("model", kind[0]), kind[2]
        labels = {
            "status": _CLASSES[status] if 0 <= status < len(_CLASSES) else _CLASSES[0],
            "verdict": str(kind[1]),
            "model": model,
            "stream": "true" if kind[3] else "false",
        }
        found = (
            self._known("requests_total", labels),
            self._known("tokens_total", {"model": model, "direction": "input"}),
            self._known("tokens_total", {"model": model, "direction": "output"}),
            self._known("charged_micro_dollars_total", {"model": model}),
        )
        if model == kind[0]:
            self._kinds[kind] = found
        return found

    def _attempt(self, pair: tuple[str, str]) -> int:
        provider = self._bounded("provider", pair[0])
        place = self._known("attempts_total", {"provider": provider, "outcome": pair[1]})
        if provider == pair[0]:
            self._places[pair] = place
        return place

    def _phase(self, tried: tuple[str, str, str]) -> int:
        labels = {"phase": tried[0], "result": tried[1]}
        place = self._places[tried] = self._known("cache_results_total", labels)
        return place

    def _stage(self, name: str) -> int:
        first = self._stages[name] = self._histogram("stage_seconds", "stage", name)[0]
        return first

    def _known(self, name: str, labels: dict[str, str]) -> int:
        """The cell of a counter, found or made."""
        key = (name, *labels.items())
        place = self._places.get(key)
        return self._place(key, "c", name, labels) if place is None else place

    def _place(self, key: Any, kind: str, name: str, labels: dict[str, str]) -> int:
        """The cell of a new series."""
        if name not in CATALOGUE:
            raise KeyError(f"{name} is not in the catalogue of figures")
        place = self._new_series(f"{kind}{PREFIX}{name}{merged.rendered(labels)}", 1)
        self._places[key] = place
        return place

    def _histogram(self, name: str, label: str, value: str) -> tuple[int, tuple[float, ...]]:
        figure: Figure = CATALOGUE[name]
        if label:
            value = self._bounded(label, value)
        labels = merged.rendered({label: value} if label else {})
        first = self._new_series(f"h{PREFIX}{name}{labels}", len(figure.bounds) + 2)
        self._histograms[name, value] = found = (first, figure.bounds)
        return found

    def _new_series(self, key: str, cells: int) -> int:
        """Append `key, cells` to the file: one cell with both lengths, the key in whole cells, then the numbers."""
        raw = key.encode("utf-8", "replace")
        words = -(-len(raw) // 8)
        start = self._used
        if (start + 1 + words + cells) * 8 > FILE_BYTES:
            return self._overflow(cells)
        offset = (start + 1) * 8
        self._map[offset : offset + len(raw)] = raw
        self._map[start * 8 : start * 8 + 8] = len(raw).to_bytes(4, "little") + cells.to_bytes(4, "little")
        self._used = start + 1 + words + cells
        # Last: a reader in between sees the file as it was before.
        self._map[0:8] = self._used.to_bytes(8, "little")
        return start + 1 + words

    def _overflow(self, cells: int) -> int:
        """The end of the file is a dustbin that no reader looks at."""
        self.count("series_dropped_total")
        return FILE_BYTES // 8 - cells

    def _bounded(self, label: str, value: str) -> str:
        known = self._labels.setdefault(label, set())
        if value in known:
            return value
        if len(known) >= MOST_LABELS:
            return "other"
        known.add(value)
        return value


def _mapped(folder: Path, role: str) -> tuple[int, mmap.mmap]:
    """A fresh file of this process, held by a lock; memory alone where no file can be made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{role}-{os.getpid()}-{secrets.token_hex(4)}{merged.SUFFIX}"
        hidden = path.with_name(f".{path.name}")
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        # Blocks are taken now: a full disk must not end the process at a later write to the mapping.
        os.posix_fallocate(fd, 0, FILE_BYTES)
        found = mmap.mmap(fd, FILE_BYTES)
        found[0:8] = (1).to_bytes(8, "little")
        hidden.rename(path)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), mmap.mmap(-1, FILE_BYTES)
    return fd, found
