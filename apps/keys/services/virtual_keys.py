# SPDX-License-Identifier: Apache-2.0
"""Writes of virtual keys: a secret is returned once, when its key is issued, and kept nowhere."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.changes.domain import Actor
from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import clock, ids
from apps.core.django_ring import ring
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.core.tenancy import EVERYONE
from apps.core.values import encode
from apps.identity import selectors as identity
from apps.identity.domain import Role, require
from apps.keys.domain import PREFIX, Absent
from apps.keys.models import BudgetRow, Node, VirtualKey

WRITERS = (Role.ADMIN, Role.ENGINEER)
SECRET_BYTES = 24
MOST_PATTERNS = 200
_NOTED_AS_THEY_ARE = (
    "name",
    "team_id",
    "person_id",
    "allowed_models",
    "expires_at",
    "enabled",
    "requests_per_minute",
    "requests_at_once",
    "assumed_output_tokens",
    "may_assert_person",
    "may_override_route",
    "passthrough",
)


class KeyFields(TypedDict, total=False):
    """What can be set on a virtual key; `budget_ids` are budgets that count for chosen keys."""

    name: str
    team_id: str
    person_id: str | None
    allowed_models: Sequence[str]
    expires_at: datetime | None
    enabled: bool
    requests_per_minute: int | None
    requests_at_once: int | None
    assumed_output_tokens: int | None
    may_assert_person: bool
    may_override_route: bool
    passthrough: Sequence[str]
    budget_ids: Sequence[str]


@transaction.atomic
def issue_key(*, actor: Actor, reason: str = "", **fields: Unpack[KeyFields]) -> tuple[VirtualKey, str]:
    """A new key of the actor's organisation and its secret, which nothing can show again."""
    require(actor, *WRITERS)
    secret = PREFIX + secrets.token_hex(SECRET_BYTES)
    key = VirtualKey(
        id=ids.new(VirtualKey.KIND),
        organisation_id=actor.organisation_id,
        digest=ring().digest(secret),
        hint=hint(secret),
    )
    budgets = _set(key, fields)
    save_checked(key)
    key.budgets.set(budgets or [])
    _note(actor, "key.issued", key, None, key_facts(key), reason)
    return key, secret


@transaction.atomic
def change_key(*, actor: Actor, key_id: str, reason: str = "", **fields: Unpack[KeyFields]) -> VirtualKey:
    """Set some fields; nothing is written where nothing changes. DoesNotExist, ValidationError."""
    require(actor, *WRITERS)
    key = rows_of(VirtualKey, scope(actor)).select_for_update().get(id=key_id)
    before = key_facts(key)
    budgets = _set(key, fields)
    after = key_facts(key)
    if budgets is not None:
        after["budgets"] = [budget.id for budget in budgets]
    if before == after:
        return key
    key.version += 1
    save_checked(key)
    if budgets is not None:
        key.budgets.set(budgets)
    _note(actor, _verb(before, after), key, before, after, reason)
    return key


def disable_key(*, actor: Actor, key_id: str, reason: str = "") -> VirtualKey:
    """Refuse the key from now on; it can be enabled again. DoesNotExist."""
    return change_key(actor=actor, key_id=key_id, reason=reason, enabled=False)


def enable_key(*, actor: Actor, key_id: str, reason: str = "") -> VirtualKey:
    """Accept a disabled key again. DoesNotExist."""
    return change_key(actor=actor, key_id=key_id, reason=reason, enabled=True)


@transaction.atomic
def delete_key(*, actor: Actor, key_id: str, reason: str = "") -> None:
    """Remove a key for good; gateways are told that there is no such key. DoesNotExist."""
    require(actor, *WRITERS)
    key = rows_of(VirtualKey, scope(actor)).select_for_update().get(id=key_id)
    before = key_facts(key)
    delete_checked(key)
    _record(actor, "key.deleted", key, before, None, reason)
    enqueue("keys", key.organisation_id, key.id, key.digest, gone=encode(Absent(digest=key.digest)))


def republish_for(
    *,
    organisation_id: str = "",
    team_id: str = "",
    person_id: str = "",
    group_id: str = "",
    budget_id: str = "",
) -> int:
    """Publish again the keys that copy facts of something that was edited, in the edit's own transaction.

    Exactly one argument is given; the number of keys is returned.
    """
    which = {
        "organisation_id": organisation_id,
        "team_id": team_id,
        "person_id": person_id,
        "person__groups": group_id,
        "budgets": budget_id,
    }
    given = {name: value for name, value in which.items() if value}
    if len(given) != 1:
        raise TypeError("name one thing whose keys are to be published")
    found = rows_of(VirtualKey, EVERYONE).filter(**given).order_by("id")
    affected = list(found.values_list("organisation_id", "id"))
    rows_of(VirtualKey, EVERYONE).filter(id__in=[key_id for _org, key_id in affected]).update(
        version=F("version") + 1
    )
    for organisation, key_id in affected:
        enqueue("keys", organisation, key_id)
    return len(affected)


def hint(secret: str) -> str:
    """The part of a secret that may be shown, by which its owner knows it: `sk-sf-4be1…c07d`."""
    return f"{secret[: len(PREFIX) + 4]}…{secret[-4:]}"


def key_facts(key: VirtualKey) -> dict[str, Any]:
    """What the change log shows; neither the secret nor its digest."""
    facts = {name: getattr(key, name) for name in _NOTED_AS_THEY_ARE}
    budgets = sorted(key.budgets.values_list("id", flat=True)) if not key._state.adding else []
    return facts | {"hint": key.hint, "budgets": budgets}


def _set(key: VirtualKey, fields: KeyFields) -> list[BudgetRow] | None:
    """Put checked values on the row; the budgets that were asked for are returned."""
    wanted: dict[str, Any] = dict(fields)
    budget_ids = wanted.pop("budget_ids", None)
    if "allowed_models" in wanted:
        wanted["allowed_models"] = _patterns(wanted["allowed_models"])
    if "passthrough" in wanted:
        wanted["passthrough"] = _paths(wanted["passthrough"])
    for name, value in wanted.items():
        setattr(key, name, value)
    faults = {}
    if not identity.teams(key.organisation_id).filter(id=key.team_id).exists():
        faults["team_id"] = _("There is no such team.")
    if key.person_id and not identity.people(key.organisation_id).filter(id=key.person_id).exists():
        faults["person_id"] = _("There is no such person.")
    if wanted.get("expires_at") and key._state.adding and wanted["expires_at"] <= clock.now():
        faults["expires_at"] = _("This moment has passed.")
    budgets = None if budget_ids is None else _budgets(key.organisation_id, budget_ids)
    if budgets is not None and len(budgets) != len(set(budget_ids)):
        faults["budget_ids"] = _("There is no such budget for chosen keys.")
    if faults:
        raise ValidationError(faults)
    return budgets


def _budgets(organisation_id: str, budget_ids: Sequence[str]) -> list[BudgetRow]:
    rows = rows_of(BudgetRow, organisation_id).filter(id__in=budget_ids, node=Node.KEY)
    return list(rows.select_for_update(no_key=True).order_by("id"))


def _patterns(given: Sequence[str]) -> list[str]:
    """Model patterns without spaces around them, each once, in the order given."""
    found = list(dict.fromkeys(text.strip() for text in given))
    if len(found) > MOST_PATTERNS or not all(text.isprintable() and 0 < len(text) <= 120 for text in found):
        raise ValidationError(
            {"allowed_models": _("Give at most 200 names or patterns of 1 to 120 characters each.")}
        )
    return found


def _paths(given: Sequence[str]) -> list[str]:
    """Patterns of providers and their paths without spaces around them, each once, in the order given."""
    found = list(dict.fromkeys(text.strip() for text in given))
    if len(found) > MOST_PATTERNS or not all(text.isprintable() and 0 < len(text) <= 300 for text in found):
        raise ValidationError(
            {
                "passthrough": _(
                    "Give at most 200 patterns such as openai/files/* of 1 to 300 characters each."
                )
            }
        )
    if any(text.startswith("/") or "://" in text for text in found):
        raise ValidationError(
            {"passthrough": _("Begin with the name of a provider, for example openai/responses.")}
        )
    return found


def _verb(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Switching a key off or on is an event of its own in the log."""
    if {name for name, value in after.items() if before[name] != value} == {"enabled"}:
        return "key.enabled" if after["enabled"] else "key.disabled"
    return "key.changed"


def _note(
    actor: Actor,
    verb: str,
    key: VirtualKey,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    reason: str,
) -> None:
    _record(actor, verb, key, before, after, reason)
    enqueue("keys", key.organisation_id, key.id)


def _record(
    actor: Actor,
    verb: str,
    key: VirtualKey,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    record(
        actor=actor,
        organisation_id=key.organisation_id,
        verb=verb,
        subject=key.id,
        subject_name=key.name,
        before=before,
        after=after,
        reason=reason,
    )
