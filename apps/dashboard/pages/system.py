# SPDX-License-Identifier: Apache-2.0
"""System: what runs here, in which version, and what is degraded at this moment."""

import platform
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version

import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET

from apps.audit.selectors import lag
from apps.changes.selectors import unpublished
from apps.core import clock, redis_names
from apps.core.django_redis_client import client
from apps.dashboard.shell import OPERATORS, Text, page, show
from apps.dashboard.verdicts import Look

GOOD = Look("allow", "allow", gettext_lazy("Works"))
DEGRADED = Look("warn", "warn", gettext_lazy("Degraded"))
DOWN = Look("error", "error", gettext_lazy("Down"))
# The shipper looks at every journal at least each five seconds; after several looks in vain something is wrong.
SHIPPER_SILENT = timedelta(seconds=30)
MODES: dict[str, Text] = {
    "process": gettext_lazy("survives a killed process; a power loss may cost the last second"),
    "strict": gettext_lazy("on disk before an answer completes; survives a power loss"),
    "closed": gettext_lazy("answers nothing that cannot be recorded"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing the system is made of, how it is, and what that means."""

    name: Text
    look: Look
    detail: Text
    version: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A setting worth knowing, with what it means."""

    name: Text
    value: str
    meaning: Text = ""


@require_GET
@page(*OPERATORS)
def system(request: HttpRequest) -> HttpResponse:
    """Stores, gateway processes, publishing, durability, versions."""
    parts = [_database(), *_shared_state(), _publishing(), _journals()]
    context = {
        "parts": parts,
        "trouble": [part for part in parts if part.look is not GOOD],
        "facts": _facts(),
    }
    return show(request, "dashboard/system.html", context)


def _database() -> Part:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), pg_database_size(current_database())")
        server, size = cursor.fetchone()
        cursor.execute(
            "SELECT extname, extversion FROM pg_extension WHERE extname IN ('vector', 'timescaledb')"
        )
        extensions = ", ".join(f"{name} {number}" for name, number in cursor.fetchall())
    detail = _("The record; %(megabytes)d MB") % {"megabytes": size // 1_000_000}
    return Part(
        _("PostgreSQL"), GOOD, f"{detail}; {extensions}." if extensions else f"{detail}.", str(server)
    )


def _shared_state() -> list[Part]:
    """Redis, and what can only be known through it."""
    try:
        store = client()
        server = store.info("server")
        epoch = store.exists(redis_names.EPOCH)
        processes = [_as_text(name) for name in store.hkeys(redis_names.LEASES)]
        alive = sum(store.exists(redis_names.lease(lease)) for lease in processes)
    except redis.RedisError:
        detail = _(
            "Gateways serve their last configuration; callers with a hard budget are asked to wait. "
            "Start it again and everything is published anew."
        )
        return [Part(_("Redis"), DOWN, detail)]
    kind = str(server.get("server_name", "redis")).capitalize()
    number = str(server.get(f"{kind.lower()}_version", server.get("redis_version", "")))
    gateways = ngettext("%(count)d process answers.", "%(count)d processes answer.", alive) % {"count": alive}
    return [
        Part(kind, GOOD, _("Shared hot state and the published configuration."), number),
        Part(_("Configuration"), GOOD, _("Published."))
        if epoch
        else Part(
            _("Configuration"), DEGRADED, _("Not published since Redis started; it will be in a moment.")
        ),
        Part(_("Gateways"), GOOD, gateways)
        if alive
        else Part(_("Gateways"), DEGRADED, _("No gateway process has reported in the last seconds.")),
    ]


def _publishing() -> Part:
    waiting = unpublished()
    if not waiting:
        return Part(_("Edits"), GOOD, _("Every edit has reached the gateways."))
    detail = ngettext(
        "%(count)d edit has not reached the gateways yet.",
        "%(count)d edits have not reached the gateways yet.",
        waiting,
    )
    return Part(_("Edits"), DEGRADED, detail % {"count": waiting})


def _journals() -> Part:
    """What gateways have recorded on their disks and the database does not have yet."""
    name, found = _("Journals"), lag()
    waiting = _("%(kilobytes)s KB wait to be shipped to PostgreSQL.") % {
        "kilobytes": f"{-(-found.behind // 1000):,}"
    }
    if found.seen_at is not None and clock.now() - found.seen_at > SHIPPER_SILENT:
        silent = _(
            "No shipper has looked since %(time)s UTC: records wait on the gateway's disk, and appear here late."
        ) % {"time": f"{found.seen_at:%Y-%m-%d %H:%M:%S}"}
        return Part(name, DEGRADED, f"{silent} {waiting}")
    if found.set_aside:
        detail = ngettext(
            "%(count)d line could not be shipped and was set aside in journal/damaged: look at it.",
            "%(count)d lines could not be shipped and were set aside in journal/damaged: look at them.",
            found.set_aside,
        )
        return Part(name, DEGRADED, detail % {"count": found.set_aside})
    if found.behind:
        return Part(name, GOOD, waiting)
    return Part(name, GOOD, _("Every record is in PostgreSQL."))


def _facts() -> list[Fact]:
    env = settings.ENV
    return [
        Fact(_("Role"), env.service_type),
        Fact(_("Durability"), env.journal_mode, MODES[env.journal_mode]),
        Fact(
            _("Oldest usable configuration"),
            f"{env.max_stale_s} s",
            _("how long gateways serve alone when Redis is away"),
        ),
        Fact(_("Largest request body"), f"{env.max_body_bytes // 1024:,} KiB"),
        Fact(_("Address"), env.address),
        Fact("Smartflow", str(settings.SPECTACULAR_SETTINGS["VERSION"])),
        Fact("Django", version("django")),
        Fact("Python", platform.python_version()),
    ]


def _as_text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
