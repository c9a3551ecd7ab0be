# SPDX-License-Identifier: Apache-2.0
"""The rows of one variant, made by the services that everybody else uses."""

from decimal import Decimal

from django.db import transaction

from apps.changes.domain import Actor, system
from apps.identity import services as identity
from apps.keys import services as keys
from apps.policies import services as policies
from apps.providers import services as providers
from apps.routing import services as routing
from bench import traffic
from bench.variants import JSON_MODEL, SSE_MODEL, Variant

BUDGET_MICRO = 10**15


@transaction.atomic
def seed(variant: Variant, json_url: str, sse_url: str) -> str:
    """One organisation with everything a request of the variant needs; the key's secret."""
    organisation = identity.create_organisation(actor=system(), name=f"Bench {variant.name}")
    actor = system(organisation.id)
    team = identity.create_team(actor=actor, name="Bench")
    _add_model(actor, JSON_MODEL, json_url, traffic.JSON.model)
    _add_model(actor, SSE_MODEL, sse_url, traffic.SSE.model)
    for number in range(variant.policies):
        _add_policy(actor, number)
    budgets = [
        keys.create_budget(
            actor=actor,
            node=node,
            team_id=team.id if node == "team" else None,
            name=f"{node} {number}",
            window="month",
            limit_micro=BUDGET_MICRO,
        )
        for number, node in enumerate(variant.nodes)
    ]
    _, secret = keys.issue_key(
        actor=actor,
        name=variant.name,
        team_id=team.id,
        requests_per_minute=variant.requests_per_minute,
        budget_ids=[budget.id for budget in budgets if budget.node == "key"],
    )
    return secret


def _add_model(actor: Actor, name: str, url: str, upstream_model: str) -> None:
    provider = providers.create_provider(
        actor=actor, name=name, base_url=url, credential="bench", private_allowed=True
    )
    model = providers.create_model(
        actor=actor, name=name, input_rate=Decimal("0.15"), output_rate=Decimal("0.60"), output_cap=4096
    )
    routing.create_target(
        actor=actor, name=name, model_id=model.id, provider_id=provider.id, upstream_model=upstream_model
    )


def _add_policy(actor: Actor, number: int) -> None:
    policies.create_policy(
        actor=actor,
        name=f"Personal data {number}",
        phases=["input", "output"],
        action="redact",
        detectors=[{"kind": "pii", "params": {"entities": ["CREDIT_CARD", "EMAIL"]}}],
    )
