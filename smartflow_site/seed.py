# SPDX-License-Identifier: Apache-2.0
"""The rows of the demo organisation, made through the services that everybody else uses."""

import secrets
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection, transaction

from apps.changes.domain import Actor, Role, system
from apps.core import clock
from apps.core.tenancy import EVERYONE
from apps.gateway.local import MODEL as EMBEDDING_MODEL
from apps.identity import selectors as identity
from apps.identity import services as people
from apps.identity.domain import Bodies
from apps.keys import selectors as keys
from apps.keys import services as keyring
from apps.keys.domain import Window
from apps.policies import services as policies
from apps.providers import selectors as providers
from apps.providers import services as catalogue
from apps.providers.domain import EMBEDDING, LOCAL
from apps.routing import services as routing
from apps.vectors import embedder
from smartflow_site.localmodel import MODEL_NAME

NAME = "Quickstart"
PROVIDER, EMBEDDINGS = "local", "local-embeddings"
TOKEN_DAYS = 366
_LOCK = 7_203_402  # PostgreSQL's advisory lock of whoever seeds


@dataclass(frozen=True, slots=True)
class Kept:
    """The secrets that the private file holds; empty where it holds none."""

    api_key: str = field(repr=False)
    password: str = field(repr=False)
    token: str = field(repr=False)


def seed(email: str, kept: Kept, model_url: str) -> tuple[Kept, list[str]]:
    """Make what is missing; the secrets that are true now, and notes for a person."""
    notes: list[str] = []
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        organisation_id, new = _organisation()
        actor = system(organisation_id)
        if new:
            _policy(actor)
        team_id = _team(actor, new=new)
        person_id, password = _admin(actor, email, team_id, kept.password, notes, new=new)
        made = Kept(
            api_key=_key(actor, team_id, person_id, kept.api_key, notes, new=new),
            password=password,
            token=_token(actor, person_id, kept.token, notes, new=new),
        )
        if model_url:
            _local_model(actor, model_url)
        if embedder.installed():
            _embeddings(actor)
    if not model_url:
        notes.append(
            "The local model does not run here: add a provider, a model and a target to get answers."
        )
    return made, notes


def _organisation() -> tuple[str, bool]:
    found = identity.organisations(EVERYONE).filter(demo=True).order_by("id").first()
    if found is not None:
        return found.id, False
    made = people.create_organisation(
        actor=system(""), name="Demo organisation", bodies=Bodies.FULL, demo=True
    )
    return made.id, True


def _policy(actor: Actor) -> None:
    policies.create_policy(
        actor=actor,
        name="PCI card mask",
        phases=["input", "output"],
        action="redact",
        detectors=[{"kind": "pii", "params": {"entities": ["CREDIT_CARD"]}}],
    )


def _team(actor: Actor, *, new: bool) -> str:
    found = None if new else identity.teams(actor.organisation_id).order_by("id").first()
    return (found or people.create_team(actor=actor, name="Demo team")).id


def _admin(
    actor: Actor, email: str, team_id: str, password: str, notes: list[str], *, new: bool
) -> tuple[str, str]:
    found = None if new else identity.people(actor.organisation_id).filter(email=email).first()
    fresh = secrets.token_urlsafe(18)
    if found is None:
        made = people.create_person(
            actor=actor,
            email=email,
            name="Admin",
            organisation_id=actor.organisation_id,
            roles=list(Role),
            teams=identity.teams(actor.organisation_id).filter(id=team_id),
            password=fresh,
            is_staff=True,
            is_superuser=True,
        )
        return made.id, fresh
    if not password:
        people.set_password(actor=actor, person_id=found.id, password=fresh)
        notes.append(f"The password of {email} was not in the file any more: it has a new one.")
        return found.id, fresh
    if not found.check_password(password):
        notes.append(f"The password of {email} was changed: the one in the file no longer opens the door.")
    return found.id, password


def _key(actor: Actor, team_id: str, person_id: str, secret: str, notes: list[str], *, new: bool) -> str:
    if not new and secret and keys.key_of(secret) is not None:
        return secret
    earlier = keys.keys(actor.organisation_id).filter(name=NAME, enabled=True)
    for key in earlier:
        keyring.disable_key(actor=actor, key_id=key.id, reason="its secret was lost")
    if not new:
        notes.append("The quickstart key was not found any more: there is a new one, earlier ones are off.")
    budget = keys.budget_rows(actor.organisation_id).filter(name=NAME).first() or keyring.create_budget(
        actor=actor, name=NAME, window=Window.MONTH.value, limit_micro=25_000_000, hard=True
    )
    _made, fresh = keyring.issue_key(
        actor=actor,
        name=NAME,
        team_id=team_id,
        person_id=person_id,
        requests_per_minute=600,
        budget_ids=[budget.id],
    )
    return fresh


def _token(actor: Actor, person_id: str, secret: str, notes: list[str], *, new: bool) -> str:
    found = None if new or not secret else identity.token_of(secret)
    if found is not None and found.revoked_at is None and found.expires_at > clock.now():
        return secret
    person = identity.people(actor.organisation_id).get(id=person_id)
    for token in identity.tokens(person).filter(name=NAME, revoked_at=None):
        people.revoke_token(actor=actor, token_id=token.id, reason="its secret was lost or has ended")
    if not new:
        notes.append("The quickstart token was not found or has ended: there is a new one.")
    _made, fresh = people.issue_token(actor=actor, person_id=person_id, name=NAME, days=TOKEN_DAYS)
    return fresh


def _local_model(actor: Actor, url: str) -> None:
    """The local model as provider, model and target; later runs only follow its address."""
    provider = providers.providers(actor.organisation_id).filter(name=PROVIDER).first()
    if provider is not None:
        if provider.base_url != url.rstrip("/"):
            catalogue.change_provider(
                actor=actor, provider_id=provider.id, base_url=url, private_allowed=True
            )
        return
    provider = catalogue.create_provider(actor=actor, name=PROVIDER, base_url=url, private_allowed=True)
    models = providers.models(actor.organisation_id)
    model = models.filter(name=MODEL_NAME).first() or catalogue.create_model(
        actor=actor,
        name=MODEL_NAME,
        output_cap=1024,
        context=4096,
        # What running it here is taken to cost, so that budgets and charts have something to show.
        input_rate=Decimal("0.05"),
        output_rate=Decimal("0.10"),
        default=not models.filter(default=True).exists(),
    )
    routing.create_target(
        actor=actor,
        name=f"{PROVIDER} {MODEL_NAME}",
        model_id=model.id,
        provider_id=provider.id,
        upstream_model=MODEL_NAME,
    )


def _embeddings(actor: Actor) -> None:
    """The embedding model inside the gateway as provider, model and target."""
    if providers.providers(actor.organisation_id).filter(name=EMBEDDINGS).exists():
        return
    provider = catalogue.create_provider(actor=actor, name=EMBEDDINGS, dialect=LOCAL)
    models = providers.models(actor.organisation_id)
    model = models.filter(name=EMBEDDING_MODEL).first() or catalogue.create_model(
        actor=actor,
        name=EMBEDDING_MODEL,
        kind=EMBEDDING,
        input_rate=Decimal("0.01"),
        output_rate=Decimal(0),
    )
    routing.create_target(
        actor=actor,
        name=f"{EMBEDDINGS} {EMBEDDING_MODEL}",
        model_id=model.id,
        provider_id=provider.id,
        upstream_model=EMBEDDING_MODEL,
    )
