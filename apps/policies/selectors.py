# SPDX-License-Identifier: Apache-2.0
"""Reads of policies and their versions, always within an organisation."""

from django.db.models import QuerySet

from apps.core.django_rows import rows_of
from apps.policies import domain
from apps.policies.models import PolicyRow, PolicyVersion


def policies(organisation_id: str) -> QuerySet[PolicyRow]:
    """Policies, enabled or not."""
    return rows_of(PolicyRow, organisation_id)


def versions(organisation_id: str, policy_id: str) -> QuerySet[PolicyVersion]:
    """The versions of a policy, newest first; also of one that was deleted."""
    return rows_of(PolicyVersion, organisation_id).filter(policy_id=policy_id).order_by("-number")


def enforced(organisation_id: str) -> list[domain.Policy]:
    """The values that gateways have, for a `Bundle` that judges as they do."""
    return [policy_value(row) for row in policies(organisation_id).filter(enabled=True).order_by("id")]


def policy_value(row: PolicyRow) -> domain.Policy:
    """The value of a policy."""
    return domain.Policy(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        version=row.version,
        phases=tuple(domain.Phase(phase) for phase in row.phases),
        scope=domain.Scope(**{name: tuple(names) for name, names in row.scope.items()}),
        detectors=tuple(domain.Detector(kind=d["kind"], params=d["params"]) for d in row.detectors),
        action=domain.Action(row.action),
        fail_closed=row.fail_closed,
    )
