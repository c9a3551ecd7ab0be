# SPDX-License-Identifier: Apache-2.0
"""/metrics over several processes: living ones are added up, dead ones are kept, nothing ever goes down."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apps.analytics import merged, metrics
from apps.analytics.catalogue import CATALOGUE, PREFIX
from apps.analytics.metrics import Metrics
from apps.audit.domain import Attempt, Evaluation, Finding, PhaseTried, Record, Stage, Verdict

SAMPLE = re.compile(r'^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+\})? (\S+)$')
WORKER = """
import os, sys
from pathlib import Path
from apps.analytics.metrics import Metrics
from apps.audit.domain import Record
figures = Metrics(Path(sys.argv[1]), "all")
figures.gauge("streams_open", 3.0)
for _ in range(int(sys.argv[2])):
    figures.exchange(Record(id="x", model="small", status=200, input_tokens=2, output_tokens=3))
os.write(1, b"counted\\n")
sys.stdin.read()
"""


def values(text: str) -> dict[str, float]:
    """Series -> value; every line must be as the format wants it."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, line
            assert match[1] + (match[2] or "") not in found
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def exchange(**fields: object) -> Record:
    given = {
        "id": "req", "model": "small", "status": 200, "input_tokens": 10, "output_tokens": 5, "charged": 7,
        "total_us": 1500, "upstream_us": 1000, "stages": (Stage("admit", 0, 100), Stage("send", 100, 1000)),
        "attempts": (Attempt("t", "t", "local", "m", 0, 1000, 200, "ok"),),
        "phases": (PhaseTried("exact", "miss"),),
        "evaluations": (Evaluation("p", 1, "n", "input", "redact", 5, (Finding("card", 2, "user"),)),),
    }  # fmt: skip
    return Record(**{**given, **fields})  # type: ignore[arg-type]


def test_an_exchange_is_counted_everywhere_it_belongs(tmp_path: Path) -> None:
    figures = Metrics(tmp_path, "all")
    for _ in range(3):
        figures.exchange(exchange())
    figures.exchange(exchange(status=403, verdict=Verdict.BLOCKED, stages=()))
    found = values(figures.text())
    ok = '{status="2xx",verdict="allowed",model="small",stream="false"}'
    no = '{status="4xx",verdict="blocked",model="small",stream="false"}'
    assert found[f"smartflow_requests_total{ok}"] == 3
    assert found[f"smartflow_requests_total{no}"] == 1
    assert found['smartflow_tokens_total{model="small",direction="input"}'] == 40
    assert found['smartflow_charged_micro_dollars_total{model="small"}'] == 28
    assert found['smartflow_attempts_total{provider="local",outcome="ok"}'] == 4
    assert found['smartflow_policy_findings_total{type="card"}'] == 8
    assert found['smartflow_cache_results_total{phase="exact",result="miss"}'] == 4
    assert found['smartflow_stage_seconds_bucket{stage="admit",le="5e-05"}'] == 0
    assert found['smartflow_stage_seconds_bucket{stage="admit",le="0.0001"}'] == 3
    assert found['smartflow_stage_seconds_bucket{stage="send",le="+Inf"}'] == 3
    assert found['smartflow_stage_seconds_count{stage="send"}'] == 3
    assert found['smartflow_stage_seconds_sum{stage="send"}'] == pytest.approx(0.003)
    assert found["smartflow_overhead_seconds_sum"] == pytest.approx(0.002)
    assert found["smartflow_processes"] == 1
    figures.close()


def test_every_family_has_its_help_and_type_once_and_before_its_samples(tmp_path: Path) -> None:
    figures = Metrics(tmp_path, "all")
    figures.exchange(exchange())
    lines = figures.text().splitlines()
    types = [line.split()[2:] for line in lines if line.startswith("# TYPE")]
    assert len({name for name, _kind in types}) == len(types)
    for name, kind in types:
        assert CATALOGUE[name.removeprefix(PREFIX)].kind == kind
        assert sum(line.startswith(f"# HELP {name} ") for line in lines) == 1
        first = next(index for index, line in enumerate(lines) if re.match(rf"{name}(_bucket)?[ {{]", line))
        assert lines[first - 1].startswith(f"# TYPE {name} ")
    figures.close()


def test_labels_from_outside_are_escaped_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_LABELS", 5)
    figures = Metrics(tmp_path, "all")
    figures.exchange(exchange(model='a"b\\c\nd'))
    for number in range(50):
        figures.exchange(exchange(model=f"model-{number}"))
    found = values(figures.text())
    models = {name for name in found if name.startswith("smartflow_charged")}
    assert len(models) == 6
    assert found['smartflow_charged_micro_dollars_total{model="other"}'] == 46 * 7
    assert found['smartflow_charged_micro_dollars_total{model="a\\"b\\\\c\\nd"}'] == 7
    figures.close()


def test_a_full_file_drops_new_series_and_says_how_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "FILE_BYTES", 4096)
    figures = Metrics(tmp_path, "all")
    figures.count("internal_errors")
    figures.count("series_dropped_total", 0)
    for number in range(100):
        figures.count("attempts_total", provider=f"p{number}", outcome="ok")
    figures.count("internal_errors")
    found = values(figures.text())
    assert found["smartflow_internal_errors_total"] == 2
    kept = sum(name.startswith("smartflow_attempts") for name in found)
    assert 5 < kept < 100
    assert found["smartflow_series_dropped_total"] == 100 - kept
    figures.close()


def test_counters_outlive_kill_9_and_gauges_do_not(tmp_path: Path) -> None:
    """Seen red with figures kept in memory only: the counters go down to the living process's own."""
    mine = Metrics(tmp_path, "all")
    mine.exchange(exchange())
    mine.gauge("streams_open", 1.0)
    name = '{status="2xx",verdict="allowed",model="small",stream="false"}'
    last = 0.0
    for turn in range(1, 4):
        argv = [sys.executable, "-c", WORKER, str(tmp_path), "100"]
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"counted\n"
            found = values(mine.text())
            assert found["smartflow_processes"] == 2
            assert found["smartflow_streams_open"] == 4
            assert found[f"smartflow_requests_total{name}"] == 1 + 100 * turn
            worker.send_signal(signal.SIGKILL)
        found = values(mine.text())
        assert found[f"smartflow_requests_total{name}"] == 1 + 100 * turn >= last
        assert found["smartflow_streams_open"] == 1
        assert found["smartflow_processes"] == 1
        last = found[f"smartflow_requests_total{name}"]
    assert len(list(tmp_path.glob(f"*{merged.SUFFIX}"))) == 1
    mine.close()


def test_a_dead_file_is_folded_once_whatever_happens_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Metrics(tmp_path, "all")
    dead.count("internal_errors", 5)
    dead.close()

    def no_more(self: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", no_more)
        with pytest.raises(KeyboardInterrupt):
            merged.text(tmp_path, "all")
    for _ in range(2):
        assert values(merged.text(tmp_path, "all"))["smartflow_internal_errors_total"] == 5


def test_many_scrapes_at_once_agree(tmp_path: Path) -> None:
    for _ in range(5):
        dead = Metrics(tmp_path, "all")
        dead.count("internal_errors", 2)
        dead.close()
    answers: list[float] = []

    def scrape() -> None:
        answers.append(values(merged.text(tmp_path, "all"))["smartflow_internal_errors_total"])

    threads = [threading.Thread(target=scrape) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [10.0] * 8


def test_gauges_merge_as_they_mean(tmp_path: Path) -> None:
    one, two = Metrics(tmp_path, "all"), Metrics(tmp_path, "all")
    for figures, age, up in ((one, 3.0, 1.0), (two, 8.0, 0.0)):
        figures.gauge("snapshot_age_seconds", age)
        figures.gauge("redis_up", up)
        figures.gauge("exchanges_under_way", 4.0)
    found = values(one.text())
    assert (found["smartflow_snapshot_age_seconds"], found["smartflow_redis_up"]) == (8, 0)
    assert found["smartflow_exchanges_under_way"] == 8
    one.close()
    two.close()


def test_roles_do_not_mix(tmp_path: Path) -> None:
    gateway, control = Metrics(tmp_path, "gateway"), Metrics(tmp_path, "control")
    gateway.count("internal_errors")
    assert "smartflow_internal_errors_total" not in values(control.text())
    gateway.close()
    control.close()


def test_without_a_folder_it_counts_for_nobody_and_does_not_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    figures = Metrics(tmp_path / "file", "all")
    figures.exchange(exchange())
    assert values(figures.text())["smartflow_processes"] == 0
    figures.close()


def test_a_figure_outside_the_catalogue_is_a_mistake(tmp_path: Path) -> None:
    figures = Metrics(tmp_path, "all")
    with pytest.raises(KeyError, match="catalogue"):
        figures.count("something_else")
    figures.close()
