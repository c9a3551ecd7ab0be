# SPDX-License-Identifier: Apache-2.0
"""Every figure of /metrics: its name, kind, meaning, and how those of several processes become one."""

from dataclasses import dataclass
from typing import Literal

PREFIX = "smartflow_"
Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the catalogue; `bounds` are the upper edges of a histogram in seconds."""

    kind: Kind
    help: str
    merge: Merge = "sum"
    bounds: tuple[float, ...] = ()


_FINE = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)
_COARSE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
CATALOGUE: dict[str, Figure] = {
    "requests_total": Figure("counter", "Finished exchanges by status class, verdict and model."),
    "tokens_total": Figure("counter", "Tokens by model and direction."),
    "charged_micro_dollars_total": Figure("counter", "Micro-dollars charged by model."),
    "attempts_total": Figure("counter", "Calls to providers by provider and outcome."),
    "policy_findings_total": Figure("counter", "What detectors found, by type."),
    "cache_results_total": Figure("counter", "Cache phases tried, by phase and result."),
    "internal_errors_total": Figure("counter", "Faults of this gateway."),
    "request_seconds": Figure("histogram", "From the first byte in to the last byte out.", bounds=_COARSE),
    "overhead_seconds": Figure("histogram", "What the gateway added to the provider's time.", bounds=_FINE),
    "stage_seconds": Figure("histogram", "Time in each stage of the pipeline.", bounds=_FINE),
    "exchanges_under_way": Figure("gauge", "Exchanges whose end has not come."),
    "streams_open": Figure("gauge", "Streams under way."),
    "snapshot_age_seconds": Figure("gauge", "Age of the oldest configuration in use.", merge="max"),
    "redis_up": Figure("gauge", "1 when every process reaches Redis.", merge="min"),
    "journal_behind_lines": Figure("gauge", "Journal lines that wait in memory for the disk."),
    "journal_failures": Figure("gauge", "Failed writes to the journals of living processes."),
    "journal_unshipped_bytes": Figure("gauge", "Journal bytes not yet in the database."),
    "processes": Figure("gauge", "Processes behind this port."),
    "series_dropped_total": Figure("counter", "Increments that found no room for a new series."),
}
