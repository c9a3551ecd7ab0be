# SPDX-License-Identifier: Apache-2.0
"""Settings: typed, named when wrong, silent about secrets."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from smartflow_site.env import Env, EnvError, load, reference, require


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment with nothing but an empty var folder."""
    return {"SMARTFLOW_VAR": str(tmp_path)}


def test_defaults_need_no_environment(bare: dict[str, str]) -> None:
    env = load(bare)
    assert (env.service_type, env.host, env.port, env.workers) == ("all", "127.0.0.1", 8080, 2)
    assert (env.max_body_bytes, env.max_stale_s, env.journal_mode) == (16 * 1024 * 1024, 600, "process")
    assert env.address == "http://127.0.0.1:8080"


def test_every_problem_is_named_at_once(bare: dict[str, str]) -> None:
    wrong = {
        "SMARTFLOW_PORT": "70000",
        "SERVICE_TYPE": "gatway",
        "DATABASE_URL": "mysql://me:hunter2@db/x",
        "SMARTFLOW_DEBUG": "maybe",
        "SMARTFLOW_TRUSTED_PROXIES": "10.0.0.0/8,nonsense",
        "SMARTFLOW_MAX_BODY_BYTES": "lots",
        "SMARTFLOW_WORKRES": "2",
    }
    with pytest.raises(EnvError) as caught:
        load(bare | wrong)
    problems = caught.value.problems
    assert len(problems) == len(wrong)
    for name in wrong:
        assert sum(problem.startswith(name) for problem in problems) == 1
    assert "did you mean SMARTFLOW_WORKERS?" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["0", "65536", "-1", "8080 ; rm", "٨٠٨٠", "1e3", "9" * 40])
def test_a_port_is_a_port(bare: dict[str, str], value: str) -> None:
    with pytest.raises(EnvError, match="SMARTFLOW_PORT must be a whole number from 1 to 65535"):
        load(bare | {"SMARTFLOW_PORT": value})


def test_an_empty_setting_is_an_unset_one(bare: dict[str, str]) -> None:
    assert load(bare | {"SMARTFLOW_PORT": "  ", "REDIS_URL": ""}).port == 8080


def test_the_environment_wins_over_the_file_and_the_file_over_running_stores(
    bare: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "stores.env").write_text("REDIS_URL=redis://stores/0\nDATABASE_URL=postgresql://stores/x\n")
    (tmp_path / "smartflow.env").write_text("# mine\nREDIS_URL='redis://file/0'\nSMARTFLOW_PORT=1111\n")
    env = load(bare | {"SMARTFLOW_PORT": "2222"})
    assert (env.port, env.redis_url, env.database_url) == (2222, "redis://file/0", "postgresql://stores/x")


def test_a_broken_line_of_the_file_is_named(bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "smartflow.env").write_text("fine=1\nnot a setting\n")
    with pytest.raises(EnvError, match=r"smartflow\.env line 2 must be NAME=value"):
        load(bare)


def test_secrets_are_in_no_repr(bare: dict[str, str]) -> None:
    secret = "s3cr3t-value"
    env = load(
        bare
        | {
            "SMARTFLOW_SECRET_KEY": secret,
            "SMARTFLOW_KEY_RING": secret,
            "REDIS_URL": f"redis://:{secret}@h/0",
            "DATABASE_URL": f"postgresql://me:{secret}@h/d",
            "DATABASE_OWNER_URL": f"postgresql://you:{secret}@h/d",
        }
    )
    assert env.secret_key == secret
    assert secret not in repr(env)


def test_the_old_name_of_a_role_is_understood(bare: dict[str, str]) -> None:
    assert load(bare | {"SERVICE_TYPE": "compliance_api_server"}).service_type == "compliance"


def test_what_a_role_needs_is_named(bare: dict[str, str]) -> None:
    with pytest.raises(EnvError) as caught:
        require(load(bare | {"SERVICE_TYPE": "control"}), "database_url", "redis_url")
    assert [problem.split()[0] for problem in caught.value.problems] == ["DATABASE_URL", "REDIS_URL"]


def test_every_setting_is_in_the_reference(bare: dict[str, str]) -> None:
    text = reference()
    assert all(f"| `{item.metadata['name']}` |" in text for item in fields(Env))


@pytest.mark.parametrize("command", [["up"], ["serve", "--role", "gateway"], ["check"]])
def test_commands_refuse_wrong_settings_with_sentences_and_code_2(
    bare: dict[str, str], command: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        env=bare | {"PATH": "/usr/bin:/bin", "SMARTFLOW_PORT": "none", "SMARTFLOW_LOG_LEVEL": "loud"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 2
    assert "Traceback" not in done.stderr


def test_reading_settings_does_not_load_django() -> None:
    code = "import sys, smartflow_site.env, smartflow_site.cli, smartflow_site.serve, smartflow_site.up, smartflow_site.several"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code + "; print([m for m in sys.modules if m.split('.')[0] in ('django', 'celery')])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
