# SPDX-License-Identifier: Apache-2.0
"""Rows as services write them: who may see which, and broken rules that name their field or what is in the way."""

from typing import Protocol, TypeVar

from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from apps.core.tenancy import EVERYONE, OrganisationQuerySet

M = TypeVar("M", bound=models.Model)
_NAMED = 5
# The code of a broken foreign key: postgresql.org/docs/current/errcodes-appendix.html
_DANGLING = "23503"


class InUseError(Exception):
    """Other rows refer to this one; the text names them and says what to do."""


class Viewer(Protocol):
    """Whoever looks rows up."""

    @property
    def organisation_id(self) -> str:
        """The tenant."""
        ...

    @property
    def is_superuser(self) -> bool:
        """Whether all tenants are seen."""
        ...


def scope(viewer: Viewer) -> str:
    """What to hand to `.objects.of`: the viewer's organisation, or all of them for a superuser."""
    return EVERYONE if viewer.is_superuser else viewer.organisation_id


def rows_of(kind: type[M], organisation_id: str) -> OrganisationQuerySet[M]:
    """The rows of a kind in one organisation, or in all of them for `EVERYONE`."""
    every: OrganisationQuerySet[M] = OrganisationQuerySet(kind)
    return every.of(organisation_id)


def refers_to_nothing(fault: IntegrityError) -> bool:
    """Whether the database refused because a row that another one points to went in between."""
    return getattr(fault.__cause__, "sqlstate", None) == _DANGLING


def save_checked(row: models.Model) -> None:
    """Save a row after checking all of its rules; ValidationError by field when one does not hold."""
    row.full_clean()
    try:
        with transaction.atomic():
            row.save()
            # Else the database looks at references at commit only, where nobody can answer for them. From here on
            # the rows that this one points to stay until our transaction ends.
            connection.check_constraints()
    except IntegrityError:
        # Whoever came first has committed by now, so the check sees what the database saw.
        row.full_clean()
        raise


def delete_checked(row: models.Model) -> None:
    """Delete a row and keep its id on the object; InUseError names what refers to it."""
    key = row.pk
    try:
        try:
            with transaction.atomic():
                row.delete()
                connection.check_constraints()
        except IntegrityError:
            # Somebody pointed to it in between; they have committed by now, so it is seen.
            row.pk = key
            row.delete()
    except ProtectedError as fault:
        users = sorted(f"{user._meta.verbose_name} {user}" for user in fault.protected_objects)
        named = ", ".join(users[:_NAMED]) + (" …" if len(users) > _NAMED else "")
        raise InUseError(
            _("%(row)s is used by: %(users)s. Change or delete these first.") % {"row": row, "users": named}
        ) from None
    row.pk = key
