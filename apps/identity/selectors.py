# SPDX-License-Identifier: Apache-2.0
"""Reading organisations, people, teams and tokens."""

from django.db.models import QuerySet

from apps.core.django_ring import ring
from apps.core.tenancy import OrganisationQuerySet
from apps.identity.domain import TOKEN_PREFIX, OrganisationSettings
from apps.identity.models import Group, Organisation, Person, PersonalToken, Team
from apps.identity.publish import settings_of


def organisations(organisation_id: str) -> QuerySet[Organisation]:
    """The organisation itself, or all of them for `EVERYONE`."""
    return OrganisationQuerySet(Organisation).of(organisation_id)


def organisation_settings(organisation_id: str) -> OrganisationSettings:
    """The present settings of an organisation; Organisation.DoesNotExist when there is none."""
    return settings_of(Organisation.objects.get(pk=organisation_id))


def people(organisation_id: str) -> QuerySet[Person]:
    """The people of an organisation, with teams and groups at hand, newest first."""
    return Person.objects.of(organisation_id).prefetch_related("groups", "teams").order_by("-id")


def teams(organisation_id: str) -> QuerySet[Team]:
    """The teams of an organisation, newest first."""
    return OrganisationQuerySet(Team).of(organisation_id).order_by("-id")


def groups(organisation_id: str) -> QuerySet[Group]:
    """The groups of an organisation, newest first."""
    return OrganisationQuerySet(Group).of(organisation_id).order_by("-id")


def tokens(person: Person) -> QuerySet[PersonalToken]:
    """A person's own tokens, newest first."""
    return OrganisationQuerySet(PersonalToken).filter(person=person).order_by("-id")


def token_of(secret: str) -> PersonalToken | None:
    """The token of a secret, whatever its state, with its person; None when there is none."""
    if not secret.startswith(TOKEN_PREFIX) or len(secret) > 100:
        return None
    rows: QuerySet[PersonalToken] = OrganisationQuerySet(PersonalToken).select_related("person")
    return rows.filter(digest__in=ring().digests(secret)).first()
