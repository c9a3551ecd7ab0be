# SPDX-License-Identifier: Apache-2.0
"""The quickstart as a process: run again it changes nothing, and what was lost is made anew and said."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from apps.core.tenancy import EVERYONE
from apps.identity import selectors as identity
from apps.identity import services as people
from apps.keys import selectors as keys
from apps.keys import services as keyring
from apps.policies import selectors as policies
from apps.providers import selectors as providers
from apps.providers import services as catalogue
from apps.routing import selectors as routing
from smartflow_site import welcome
from smartflow_site.env import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., str]
MODEL = "http://127.0.0.1:9001/v1"
EMBEDDINGS = "all-minilm-l6-v2"
NAMES = [
    "SMARTFLOW_URL",
    "SMARTFLOW_API_KEY",
    "SMARTFLOW_ADMIN_USER",
    "SMARTFLOW_ADMIN_PASSWORD",
    "SMARTFLOW_ADMIN_TOKEN",
]


@pytest.fixture
def run(stores: Any, redis_url: str, tmp_path: Path) -> Run:
    """Runs the quickstart with a folder of its own and the key ring of this test; returns what it prints."""

    def begin(**variables: str) -> str:
        environment = {
            **os.environ,
            **stores.environment(),
            "DJANGO_SETTINGS_MODULE": "smartflow_site.settings",
        }
        environment |= {
            "SMARTFLOW_VAR": str(tmp_path),
            "SMARTFLOW_KEY_RING_FILE": str(stores.var / "secrets" / "keyring.json"),
            "SMARTFLOW_LOCAL_MODEL_URL": MODEL,
        }
        ended = subprocess.run(
            [sys.executable, "-m", "smartflow_site.quickstart"],
            cwd=ROOT,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    return begin


@pytest.fixture(autouse=True)
def same_hashers(settings: Any) -> None:
    """Passwords are checked here and there alike; other tests use a faster hasher."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]


def rows() -> dict[str, int]:
    """How many rows each table has, and the newest entry of the change log."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            found[table] = cursor.fetchone()[0]
    return found


def test_a_second_run_changes_nothing(run: Run, tmp_path: Path) -> None:
    said = run()
    file = tmp_path / welcome.FILE
    values = welcome.read(file)
    assert list(values) == NAMES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets = [values[name] for name in NAMES if name.endswith(("KEY", "PASSWORD", "TOKEN"))]
    assert all(secret and secret not in said for secret in secrets)
    before, written = rows(), file.stat().st_mtime_ns
    assert run() == ""
    assert rows() == before
    assert file.stat().st_mtime_ns == written


def test_what_it_makes(run: Run, tmp_path: Path) -> None:
    run()
    values = welcome.read(tmp_path / welcome.FILE)
    organisation = identity.organisations(EVERYONE).get()
    assert (organisation.demo, organisation.bodies) == (True, "full")
    key = keys.key_of(values["SMARTFLOW_API_KEY"])
    assert key is not None
    assert key.organisation_id == organisation.id
    assert key.requests_per_minute
    assert [(budget.window, budget.hard) for budget in key.budgets.all()] == [("month", True)]
    person = identity.people(organisation.id).get()
    assert person.email == values["SMARTFLOW_ADMIN_USER"]
    assert person.is_superuser
    provider = providers.providers(organisation.id).get(name="local")
    assert (provider.base_url, provider.private_allowed) == (MODEL, True)
    model = providers.models(organisation.id).get(kind="chat")
    assert (model.name, model.default, model.output_cap) == ("smollm2-135m-instruct", True, 1024)
    assert model.input_rate
    assert model.output_rate
    assert routing.targets(organisation.id).get(model_id=model.id).upstream_model == model.name
    vectors = providers.models(organisation.id).get(kind="embedding")
    target = routing.targets(organisation.id).get(model_id=vectors.id)
    assert (vectors.name, vectors.default, target.upstream_model) == (EMBEDDINGS, False, EMBEDDINGS)
    inside = providers.providers(organisation.id).get(id=target.provider_id)
    assert (inside.dialect, inside.base_url) == ("local", "local:")
    policy = policies.policies(organisation.id).get()
    assert (policy.name, policy.action, policy.enabled) == ("PCI card mask", "redact", True)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {values['SMARTFLOW_ADMIN_TOKEN']}")
    listed = [row["name"] for row in client.get("/api/providers").json()["results"]]
    assert sorted(listed) == ["local", "local-embeddings"]
    assert APIClient().login(username=person.email, password=values["SMARTFLOW_ADMIN_PASSWORD"])


def test_other_ports_are_followed(run: Run, tmp_path: Path) -> None:
    run()
    before = welcome.read(tmp_path / welcome.FILE)
    assert run(SMARTFLOW_PORT="9099", SMARTFLOW_LOCAL_MODEL_URL="http://127.0.0.1:9002/v1") == ""
    after = welcome.read(tmp_path / welcome.FILE)
    assert after == before | {"SMARTFLOW_URL": "http://127.0.0.1:9099"}
    assert providers.providers(EVERYONE).get(name="local").base_url == "http://127.0.0.1:9002/v1"


def test_a_lost_file_makes_new_secrets_and_ends_the_old(run: Run, tmp_path: Path) -> None:
    run()
    file = tmp_path / welcome.FILE
    old = welcome.read(file)
    file.unlink()
    said = welcome.notes(run())
    assert len(said) == 3
    new = welcome.read(file)
    for name in NAMES:
        same = name in {"SMARTFLOW_URL", "SMARTFLOW_ADMIN_USER"}
        assert (old[name] == new[name]) == same
    old_key, old_token = (
        keys.key_of(old["SMARTFLOW_API_KEY"]),
        identity.token_of(old["SMARTFLOW_ADMIN_TOKEN"]),
    )
    assert old_key is not None
    assert not old_key.enabled
    assert old_token is not None
    assert old_token.revoked_at is not None
    assert identity.organisations(EVERYONE).count() == 1
    assert keys.budget_rows(EVERYONE).count() == 1
    assert run() == ""


def test_what_people_changed_stays(run: Run, tmp_path: Path) -> None:
    run()
    file = tmp_path / welcome.FILE
    values = welcome.read(file)
    person = identity.people(EVERYONE).get()
    actor = person.actor()
    key = keys.key_of(values["SMARTFLOW_API_KEY"])
    assert key is not None
    people.set_password(actor=actor, person_id=person.id, password="another-good-one-77")
    keyring.disable_key(actor=actor, key_id=key.id)
    model = providers.models(EVERYONE).get(kind="chat")
    catalogue.change_model(actor=actor, model_id=model.id, enabled=False)
    before = rows()
    said = welcome.notes(run())
    assert len(said) == 1
    assert "password" in said[0]
    assert rows() == before
    assert welcome.read(file) == values
    person.refresh_from_db()
    assert person.check_password("another-good-one-77")


def test_without_a_local_model(run: Run, tmp_path: Path) -> None:
    said = welcome.notes(run(SMARTFLOW_LOCAL_MODEL_URL=""))
    assert len(said) == 1
    assert "local model" in said[0]
    assert providers.providers(EVERYONE).get().name == "local-embeddings"
    block = welcome.block(tmp_path / welcome.FILE, said, has_model=False)
    assert "/v1/models" in block
    assert said[0] in block
    assert run() == ""
    assert providers.models(EVERYONE).get(default=True).kind == "chat"


def test_runs_at_once_make_one_organisation(run: Run, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: run(), range(3))) == ["", "", ""]
    assert identity.organisations(EVERYONE).count() == 1
    assert keys.keys(EVERYONE).count() == 1


def test_the_block_can_be_copied_into_a_shell(run: Run, tmp_path: Path) -> None:
    run()
    values = welcome.read(tmp_path / welcome.FILE)
    block = welcome.block(tmp_path / welcome.FILE, [], has_model=True)
    for name in NAMES:
        assert values[name] in block or name == "SMARTFLOW_ADMIN_TOKEN"
    line = next(row for row in block.splitlines() if "curl" in row)
    words = subprocess.run(
        ["bash", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}; {line}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert words[1] == f"{values['SMARTFLOW_URL']}/v1/chat/completions"
    assert f"authorization: Bearer {values['SMARTFLOW_API_KEY']}" in words
    assert welcome.block(tmp_path / "nothing", [], has_model=True) == ""
