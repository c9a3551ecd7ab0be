# SPDX-License-Identifier: Apache-2.0
"""Rows belong to an organisation: one abstract row, one scoped manager, one database setting for row-level security.

The only file of this room that knows Django; nothing on the hot path imports it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self, TypeVar

from django.db import connections, models, transaction

M = TypeVar("M", bound=models.Model)
EVERYONE = "*"
SETTING = "smartflow.organisation"


class OrganisationQuerySet(models.QuerySet[M]):
    """Rows with the one question that every look-up by a person begins with."""

    def of(self, organisation_id: str) -> Self:
        """Only the rows of one organisation; `EVERYONE` (superusers, system tasks) sees all."""
        return self if organisation_id == EVERYONE else self.filter(organisation_id=organisation_id)


class OrganisationRow(models.Model):
    """A row of one organisation with an id of ours; subclasses set `KIND` (see `ids.KINDS`) and fill `id` by it."""

    KIND: ClassVar[str]

    id = models.CharField(primary_key=True, max_length=40, editable=False)
    organisation_id = models.CharField(max_length=40, db_index=True, editable=False)

    objects: ClassVar[models.Manager[Any]] = OrganisationQuerySet.as_manager()

    class Meta:
        abstract = True


@contextmanager
def acting_for(organisation_id: str, using: str = "default") -> Iterator[None]:
    """A transaction in which row-level security shows one organisation's rows; `EVERYONE` for system work only."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [SETTING])
        row = cursor.fetchone()
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, organisation_id])
        yield
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, (row and row[0]) or ""])


def row_security_sql(table: str) -> str:
    """Statements that put a table under row-level security for every role, its owner too."""
    test = f"current_setting('{SETTING}', true) IN (organisation_id, '{EVERYONE}')"
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; "
        f"CREATE POLICY organisation ON {table} USING ({test}) WITH CHECK ({test});"
    )
