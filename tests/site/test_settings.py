# SPDX-License-Identifier: Apache-2.0
"""Django as it is set up: two database roles, strict headers, static files without a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from smartflow_site import settings as ours
from smartflow_site.middleware import HEADERS, SecurityHeaders


@pytest.mark.django_db(databases=["default", "owner"])
def test_pages_use_the_role_without_tables_and_migrations_the_owner() -> None:
    found = {}
    for alias in ("default", "owner"):
        with connections[alias].cursor() as cursor:
            cursor.execute("select current_user")
            found[alias] = cursor.fetchone()[0]
    assert found == {"default": "smartflow_app", "owner": "smartflow_owner"}
    with connections["default"].cursor() as cursor:
        cursor.execute("select count(*) from pg_tables where tableowner = 'smartflow_app'")
        assert cursor.fetchone() == (0,)
        cursor.execute("select count(*) from pg_tables where tableowner = 'smartflow_owner'")
        assert cursor.fetchone()[0] > 5


@pytest.mark.django_db(transaction=True)
def test_the_application_role_may_flush_in_tests() -> None:
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    Session.objects.create(session_key="a" * 32, session_data="x", expire_date=timezone.now())
    assert Session.objects.count() == 1


@pytest.mark.django_db
def test_every_page_carries_the_strict_headers(client: Client) -> None:
    for path in ("/admin/login/", "/nowhere", "/api/schema"):
        response = client.get(path)
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, path


def test_a_view_cannot_loosen_the_policy() -> None:
    def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Content-Security-Policy": "script-src *"})

    response = SecurityHeaders(view)(RequestFactory().get("/"))
    assert response["Content-Security-Policy"].startswith("default-src 'self'; object-src 'none'")


def test_a_database_url_becomes_djangos_form_and_keeps_its_options() -> None:
    found = ours.database("postgresql://me:p%40ss@db.example:6543/flow?sslmode=require")
    assert {key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "flow",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "6543",
    }
    assert found["OPTIONS"]["sslmode"] == "require"
    assert (
        "pool" in ours.DATABASES["default"]["OPTIONS"] or settings.DATABASES["default"]["CONN_MAX_AGE"] == 0
    )


def test_static_files_are_collected_without_a_network_and_served_under_hashed_names(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "SMARTFLOW_VAR": str(tmp_path)}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "-v0"], env=environment, check=True
    )
    assert (tmp_path / "static" / "staticfiles.json").exists()
    code = "import django; django.setup(); from django.templatetags.static import static; print(static('admin/css/base.css'))"
    environment |= {"DJANGO_SETTINGS_MODULE": "smartflow_site.settings", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    name = done.stdout.strip().removeprefix("/static/")
    assert name != "admin/css/base.css"
    assert (tmp_path / "static" / name).exists()


def test_every_task_of_the_timetable_exists() -> None:
    from smartflow_site.celery import TIMETABLE, app

    assert isinstance(app, Celery)
    app.loader.import_default_modules()
    present = {name for name in app.tasks if name.startswith("apps.")}
    rooms = {name.rpartition(".")[0] for name in present}
    assert not [name for name, _ in TIMETABLE if name.rpartition(".")[0] in rooms and name not in present]
