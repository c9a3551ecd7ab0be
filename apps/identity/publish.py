# SPDX-License-Identifier: Apache-2.0
"""Organisations as gateways see them, and who else must hear when an organisation, team or person changes."""

from collections.abc import Callable, Iterator

from apps.changes.publish import Published
from apps.core import values
from apps.identity.domain import Bodies, OrganisationSettings
from apps.identity.models import Organisation

ROOM = "organisations"
Follower = Callable[[str, str], None]
_followers: list[Follower] = []


def load_one(organisation_id: str) -> Published | None:
    """The present settings of one organisation."""
    row = Organisation.objects.filter(pk=organisation_id).first()
    return _published(row) if row else None


def load_all() -> Iterator[Published]:
    """The present settings of all organisations."""
    return (_published(row) for row in Organisation.objects.order_by("pk").iterator())


def settings_of(row: Organisation) -> OrganisationSettings:
    """An organisation as gateways see it."""
    return OrganisationSettings(id=row.pk, name=row.name, bodies=Bodies(row.bodies), demo=row.demo)


def follow(follower: Follower) -> None:
    """Have `follower(organisation_id, subject_id)` called in the transaction that changes an organisation,
    team, group or person: for rooms whose published values copy their names. Once, when the app is ready.
    """
    if follower not in _followers:
        _followers.append(follower)


def tell_followers(organisation_id: str, subject_id: str) -> None:
    """Tell the rooms that copy names of an edit, inside its transaction."""
    for follower in _followers:
        follower(organisation_id, subject_id)


def _published(row: Organisation) -> Published:
    return Published(row.pk, row.pk, values.encode(settings_of(row)))
