# SPDX-License-Identifier: Apache-2.0
"""Writes of this room: policies, each change a new version that nobody can alter."""

from typing import Any, TypedDict, Unpack

from django.db import transaction

from apps.changes.domain import Actor
from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import ids
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.identity.domain import Role, require
from apps.policies import drafts
from apps.policies.models import PolicyRow, PolicyVersion

WRITERS = (Role.COMPLIANCE, Role.ADMIN)
# What a version holds; whether the policy is switched on is not part of what it says.
CONTENT = ("name", "phases", "action", "detectors", "scope", "fail_closed")


class PolicyFields(TypedDict, total=False):
    """What can be set on a policy; `detectors` are {"kind", "params"}, `scope` is lists of names by field."""

    name: str
    enabled: bool
    phases: list[str]
    action: str
    detectors: list[dict[str, Any]]
    scope: dict[str, list[str]]
    fail_closed: bool


@transaction.atomic
def create_policy(*, actor: Actor, reason: str = "", **fields: Unpack[PolicyFields]) -> PolicyRow:
    """A new policy of the actor's organisation, at version 1; ValidationError by field."""
    require(actor, *WRITERS)
    policy = PolicyRow(id=ids.new(PolicyRow.KIND), organisation_id=actor.organisation_id, version=1)
    _set(policy, {"phases": ["input", "output"], "detectors": [], **fields})
    save_checked(policy)
    _keep_version(actor, policy, reason)
    _note(actor, "policy.created", policy, None, policy_facts(policy), reason)
    return policy


@transaction.atomic
def change_policy(
    *, actor: Actor, policy_id: str, reason: str = "", **fields: Unpack[PolicyFields]
) -> PolicyRow:
    """Set some fields; a changed content is a new version, and nothing is written where nothing changes.

    DoesNotExist, ValidationError by field.
    """
    require(actor, *WRITERS)
    policy = rows_of(PolicyRow, scope(actor)).select_for_update().get(id=policy_id)
    before, content = policy_facts(policy), _content(policy)
    _set(policy, fields)
    if policy_facts(policy) == before:
        return policy
    if _content(policy) != content:
        policy.version += 1
    save_checked(policy)
    if _content(policy) != content:
        _keep_version(actor, policy, reason)
    after = policy_facts(policy)
    _note(actor, _verb(before, after), policy, before, after, reason)
    return policy


def enable_policy(*, actor: Actor, policy_id: str, reason: str = "") -> PolicyRow:
    """Enforce the policy as it stands. DoesNotExist."""
    return change_policy(actor=actor, policy_id=policy_id, reason=reason, enabled=True)


def disable_policy(*, actor: Actor, policy_id: str, reason: str = "") -> PolicyRow:
    """Stop enforcing the policy; it stays as it is. DoesNotExist."""
    return change_policy(actor=actor, policy_id=policy_id, reason=reason, enabled=False)


@transaction.atomic
def delete_policy(*, actor: Actor, policy_id: str, reason: str = "") -> None:
    """Remove a policy; its versions stay, for the records that name them. DoesNotExist."""
    require(actor, *WRITERS)
    policy = rows_of(PolicyRow, scope(actor)).select_for_update().get(id=policy_id)
    before = policy_facts(policy)
    delete_checked(policy)
    _note(actor, "policy.deleted", policy, before, None, reason)


def policy_facts(policy: PolicyRow) -> dict[str, Any]:
    """What the change log shows."""
    return {"version": policy.version, "enabled": policy.enabled, **_content(policy)}


def _content(policy: PolicyRow) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in CONTENT}


def _set(policy: PolicyRow, fields: PolicyFields | dict[str, Any]) -> None:
    for name, value in fields.items():
        check = drafts.CHECKS.get(name)
        setattr(policy, name, value if check is None else check(value))


def _verb(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Switching alone is an event of its own."""
    if before["version"] != after["version"]:
        return "policy.changed"
    return "policy.enabled" if after["enabled"] else "policy.disabled"


def _keep_version(actor: Actor, policy: PolicyRow, reason: str) -> None:
    PolicyVersion(
        id=ids.new(PolicyVersion.KIND),
        organisation_id=policy.organisation_id,
        policy_id=policy.id,
        number=policy.version,
        content=_content(policy),
        author_id=actor.id,
        author_name=actor.name[:200],
        reason=reason,
    ).save()


def _note(
    actor: Actor,
    verb: str,
    policy: PolicyRow,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    """The change record, and the news for gateways."""
    record(
        actor=actor,
        organisation_id=policy.organisation_id,
        verb=verb,
        subject=policy.id,
        subject_name=policy.name,
        before=before,
        after=after,
        reason=reason,
    )
    enqueue("policies", policy.organisation_id, policy.id)
