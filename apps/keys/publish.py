# SPDX-License-Identifier: Apache-2.0
"""Virtual keys as gateways get them: everything a request needs to know, copied into one value."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import redis
from django.db import transaction
from django.db.models import QuerySet

from apps.changes.publish import Published, enqueue, register
from apps.core import redis_names
from apps.core.django_rows import rows_of
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.identity import selectors as identity
from apps.identity.domain import OrganisationSettings
from apps.identity.publish import follow
from apps.keys import domain
from apps.keys.models import BudgetRow, Node, VirtualKey
from apps.keys.selectors import budget_value
from apps.keys.services import republish_for

ABSENT_SECONDS = 60
_AT_ONCE = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Organisation:
    """What all keys of one organisation share."""

    settings: OrganisationSettings
    budgets: list[BudgetRow] = field(default_factory=list)
    team_budgets: dict[str, list[BudgetRow]] = field(default_factory=lambda: defaultdict(list))


def load_key(key_id: str) -> Published | None:
    """The current value of a key; None when it is gone."""
    return next(_published(_rows().filter(id=key_id)), None)


def load_keys() -> Iterator[Published]:
    """The current values of all keys."""
    return _published(_rows().order_by("organisation_id", "id"))


def load_by_digest(digest: str) -> bytes | None:
    """The value of the key with this digest; None when there is none."""
    found = next(_published(_rows().filter(digest=digest)), None)
    return None if found is None else found.value


def answer(store: "redis.Redis", digests: Sequence[str]) -> None:
    """Publish what is known of digests that gateways ask for: the key, or for a minute that there is none."""
    keys = rows_of(VirtualKey, EVERYONE).filter(digest__in=digests)
    known = {
        digest: (org, key_id) for digest, org, key_id in keys.values_list("digest", "organisation_id", "id")
    }
    with transaction.atomic():
        # By a note like any edit: the order of values is then held by the same lock.
        for organisation_id, key_id in known.values():
            enqueue("keys", organisation_id, key_id)
    for digest in digests:
        if digest not in known:
            # A key that is issued at this moment is not overwritten.
            store.set(
                redis_names.key(digest), encode(domain.Absent(digest=digest)), ex=ABSENT_SECONDS, nx=True
            )
            edit = {"v": 1, "room": "keys", "organisation_id": "", "id": digest, "version": 0}
            store.publish(redis_names.EDITS, msgspec.json.encode(edit))


def register_rooms() -> None:
    """Let keys be loaded from here, and publish them again when what they copy is edited."""
    register("keys", load_key, load_keys)
    follow(_on_edit)


def _on_edit(_organisation_id: str, subject_id: str) -> None:
    """Keys copy names and settings of these subjects; an edit of another kind is not theirs."""
    match subject_id.partition("_")[0]:
        case "org":
            republish_for(organisation_id=subject_id)
        case "team":
            republish_for(team_id=subject_id)
        case "per":
            republish_for(person_id=subject_id)
        case "grp":
            republish_for(group_id=subject_id)


def _rows() -> QuerySet[VirtualKey]:
    rows = rows_of(VirtualKey, EVERYONE).select_related("team", "person")
    return rows.prefetch_related("budgets", "person__groups")


def _published(rows: QuerySet[VirtualKey]) -> Iterator[Published]:
    """Values of keys; what an organisation's keys share is read once."""
    known: dict[str, _Organisation] = {}
    for row in rows.iterator(chunk_size=_AT_ONCE):
        if row.organisation_id not in known:
            known[row.organisation_id] = _organisation(row.organisation_id)
        value = key_value(row, known[row.organisation_id])
        yield Published(
            organisation_id=row.organisation_id, id=row.id, value=encode(value), digest=row.digest
        )


def _organisation(organisation_id: str) -> _Organisation:
    found = _Organisation(settings=identity.organisation_settings(organisation_id))
    for budget in rows_of(BudgetRow, organisation_id).exclude(node=Node.KEY).order_by("id"):
        if budget.node == Node.TEAM and budget.team_id:
            found.team_budgets[budget.team_id].append(budget)
        else:
            found.budgets.append(budget)
    return found


def key_value(row: VirtualKey, organisation: _Organisation) -> domain.Key:
    """The value of a key; a key whose owner may not sign in any more is off."""
    person = row.person
    path = [*organisation.budgets, *organisation.team_budgets.get(row.team_id, []), *_own(row.budgets.all())]
    return domain.Key(
        id=row.id,
        organisation_id=row.organisation_id,
        organisation_name=organisation.settings.name,
        digest=row.digest,
        name=row.name,
        hint=row.hint,
        enabled=row.enabled and (person is None or person.is_active),
        expires_ms=_milliseconds(row.expires_at) if row.expires_at else None,
        person_id=row.person_id or "",
        person_name=person.name if person else "",
        email=person.email if person else "",
        department=person.department if person else "",
        groups=tuple(sorted(group.name for group in person.groups.all())) if person else (),
        team_id=row.team_id,
        team_name=row.team.name,
        models=tuple(row.allowed_models),
        requests_per_minute=row.requests_per_minute,
        requests_at_once=row.requests_at_once,
        budgets=tuple(budget_value(budget) for budget in path),
        assumed_output_tokens=row.assumed_output_tokens,
        may_assert_person=row.may_assert_person,
        may_override_route=row.may_override_route,
        passthrough=tuple(row.passthrough),
        bodies=str(organisation.settings.bodies),
        demo=organisation.settings.demo,
        version=row.version,
    )


def _own(budgets: Iterable[BudgetRow]) -> list[BudgetRow]:
    return sorted(budgets, key=lambda budget: budget.id)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
