# SPDX-License-Identifier: Apache-2.0
"""Personal tokens: kept as digests, shown once, with an end; and what the API says to those without one."""

from datetime import timedelta

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from rest_framework.test import APIClient

from apps.changes.selectors import changes, history
from apps.core import clock
from apps.identity import services, tokens
from apps.identity.domain import Forbidden, Role
from apps.identity.models import PersonalToken
from tests.control import House, house

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> House:
    return house("Acme", Role.ADMIN, Role.DEVELOPER)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


def issue(of: House, role: Role | None = Role.DEVELOPER) -> tuple[PersonalToken, str]:
    return services.issue_token(actor=of.actor(role), person_id=of.person(role).pk, name="laptop")


def me(secret: str, header: str = "Bearer {}") -> tuple[int, str]:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header.format(secret))
    answer = client.get("/api/me")
    return answer.status_code, str(answer.json().get("detail", ""))


class TestServices:
    def test_only_the_digest_is_kept(self, acme: House) -> None:
        row, secret = issue(acme)
        assert secret.startswith("sf-pat-")
        assert len(secret) == len("sf-pat-") + 48
        stored = PersonalToken.objects.filter(pk=row.pk).values().get()
        assert secret not in repr(stored)
        assert secret[7:] not in repr([(e.before, e.after) for e in changes(acme.id)])
        assert stored["digest"] != secret
        assert stored["hint"] == secret[-4:]

    def test_nobody_issues_a_token_for_somebody_else(self, acme: House) -> None:
        with pytest.raises(Forbidden, match="their own"):
            services.issue_token(actor=acme.actor(Role.ADMIN), person_id=acme.person(None).pk, name="x")

    def test_lengths_and_numbers_are_bounded(self, acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
        actor = acme.actor(None)
        for days in (0, 367):
            with pytest.raises(ValidationError):
                services.issue_token(actor=actor, person_id=actor.id, name="x", days=days)
        monkeypatch.setattr(tokens, "MOST_TOKENS", 1)
        services.issue_token(actor=actor, person_id=actor.id, name="x")
        with pytest.raises(ValidationError, match="Revoke one"):
            services.issue_token(actor=actor, person_id=actor.id, name="y")

    def test_a_token_cannot_outlive_the_one_that_made_it(self, acme: House) -> None:
        actor, ends = acme.actor(None), clock.now() + timedelta(days=3)
        row, _secret = services.issue_token(
            actor=actor, person_id=actor.id, name="x", days=90, not_after=ends
        )
        assert row.expires_at == ends

    def test_revoking(self, acme: House, other: House) -> None:
        row, secret = issue(acme)
        for stranger in (acme.actor(None), other.actor(Role.ADMIN)):
            with pytest.raises(ObjectDoesNotExist):
                services.revoke_token(actor=stranger, token_id=row.pk)
        assert me(secret)[0] == 200
        services.revoke_token(actor=acme.actor(Role.ADMIN), token_id=row.pk, reason="lost")
        first = PersonalToken.objects.get(pk=row.pk).revoked_at
        services.revoke_token(actor=acme.actor(Role.ADMIN), token_id=row.pk)
        assert PersonalToken.objects.get(pk=row.pk).revoked_at == first
        assert [entry.verb for entry in history(acme.id, row.pk)] == ["token.revoked", "token.issued"]


class TestAuthentication:
    def test_a_good_token_is_its_person_and_its_use_is_noted(self, acme: House) -> None:
        row, secret = issue(acme)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"bearer {secret}")
        said = client.get("/api/me/").json()
        person = acme.person(Role.DEVELOPER)
        assert said == {
            "id": person.pk,
            "name": person.name,
            "email": person.email,
            "organisation_id": acme.id,
            "organisation_name": "Acme",
            "department": "Claims",
            "roles": ["developer"],
            "groups": [],
            "teams": ["Acme claims"],
            "is_superuser": False,
        }
        row.refresh_from_db()
        assert row.last_used_at is not None

    def test_each_bad_one_gets_401_with_its_reason(self, acme: House) -> None:
        row, secret = issue(acme)
        assert me("sf-pat-" + "0" * 48)[1] == "This is not a personal token of this system."
        assert me("")[0] == 401
        assert me("é\x7f" * 40)[0] == 401
        assert me("x", "Basic {}") == (401, "Send the token as `Authorization: Bearer sf-pat-…`.")
        PersonalToken.objects.filter(pk=row.pk).update(expires_at=clock.now() - timedelta(seconds=1))
        assert me(secret)[0] == 401
        assert "has ended" in me(secret)[1]
        PersonalToken.objects.filter(pk=row.pk).update(revoked_at=clock.now())
        assert "was revoked" in me(secret)[1]

    def test_a_closed_account_has_no_token_left(self, acme: House) -> None:
        _row, secret = issue(acme)
        services.change_person(
            actor=acme.actor(Role.ADMIN), person_id=acme.person(Role.DEVELOPER).pk, is_active=False
        )
        status, said = me(secret)
        assert status == 401
        assert "closed" in said

    def test_roles_are_those_the_person_has_now(self, acme: House) -> None:
        client = acme.client(Role.DEVELOPER)
        assert client.get("/api/people").status_code == 403
        services.set_roles(
            actor=acme.actor(Role.ADMIN), person_id=acme.person(Role.DEVELOPER).pk, roles=[Role.ADMIN]
        )
        assert client.get("/api/people").status_code == 200

    def test_edits_by_token_say_so(self, acme: House) -> None:
        client = acme.client(Role.ADMIN)
        team = client.post("/api/teams", {"name": "New"}, headers={"x-request-id": "abc"}).json()
        entry = history(acme.id, team["id"])[0]
        assert (entry.actor_kind, entry.request_id) == ("token", "abc")

    def test_strangers_get_401_even_where_nothing_is(self) -> None:
        for path in ("/api/people/per_nothing", "/api/tokens/x", "/api/me", "/api/teams"):
            answer = APIClient().get(path)
            assert answer.status_code == 401, path
            assert answer["www-authenticate"] == 'Bearer realm="smartflow"'
