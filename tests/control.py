# SPDX-License-Identifier: Apache-2.0
"""Organisations with people, as tests of the control half need them: made by the services, not behind their back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rest_framework.test import APIClient

from apps.changes.domain import Actor, Role, system
from apps.identity import selectors, services
from apps.identity.models import Person

T = TypeVar("T")


@dataclass(frozen=True)
class House:
    """One organisation with a team and one person per role that was asked for."""

    id: str
    team_id: str
    people: dict[Role | None, Person] = field(repr=False)

    def person(self, role: Role | None) -> Person:
        """The person with the role, or the one without any."""
        return self.people[role]

    def actor(self, role: Role | None) -> Actor:
        """The person as services want them."""
        return self.people[role].actor()

    def client(self, role: Role | None) -> APIClient:
        """A client that sends the person's own token."""
        person = self.people[role]
        _row, secret = services.issue_token(actor=person.actor(), person_id=person.id, name="test")
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return client


def house(name: str, *roles: Role) -> House:
    """An organisation; people are called after their role, the one without is the employee."""
    organisation = services.create_organisation(actor=system(""), name=name)
    actor = system(organisation.id)
    team = services.create_team(actor=actor, name=f"{name} claims")
    people: dict[Role | None, Person] = {}
    for role in (*roles, None):
        called = role.value if role else "employee"
        people[role] = services.create_person(
            actor=actor,
            organisation_id=organisation.id,
            email=f"{called}@{name.lower()}.example",
            name=f"{called.title()} of {name}",
            department="Claims",
            roles=[role] if role else [],
            teams=selectors.teams(organisation.id),
        )
    return House(organisation.id, team.id, people)


def eventually(ask: Callable[[], T], seconds: float = 30.0) -> T:
    """The first true answer; the deadline only bounds a failing test."""
    until = time.monotonic() + seconds
    while not (found := ask()):
        if time.monotonic() > until:
            raise AssertionError("it never came true")
        time.sleep(0.02)
    return found
