# SPDX-License-Identifier: Apache-2.0
"""Rows of this room; records and bodies are partitioned tables that migrations make with SQL."""

from typing import Any, ClassVar, NoReturn

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import clock
from apps.core.tenancy import OrganisationQuerySet, OrganisationRow


class RecordRow(models.Model):
    """One exchange: what is filtered and sorted by as columns, all of it in `data`."""

    pk = models.CompositePrimaryKey("ts", "id")
    ts = models.DateTimeField()
    id = models.CharField(max_length=40)
    organisation_id = models.CharField(max_length=40)
    state = models.CharField(max_length=16)
    key_id = models.CharField(max_length=40)
    key_name = models.TextField()
    person_id = models.CharField(max_length=40)
    person_name = models.TextField()
    team_id = models.CharField(max_length=40)
    team_name = models.TextField()
    model = models.TextField()
    target = models.TextField()
    provider = models.TextField()
    path = models.TextField()
    verdict = models.CharField(max_length=16)
    status = models.IntegerField()
    error_code = models.CharField(max_length=64)
    stream = models.BooleanField()
    cache_hit = models.CharField(max_length=32)
    session_id = models.TextField()
    bundle = models.TextField()
    cost = models.DecimalField(max_digits=40, decimal_places=20)
    charged = models.BigIntegerField()
    tokens = models.BigIntegerField()
    total_us = models.BigIntegerField()
    overhead_us = models.BigIntegerField()
    budget_ids = ArrayField(models.TextField())
    accounted_at = models.DateTimeField()
    lease = models.CharField(max_length=40)
    position = models.BigIntegerField()
    demo = models.BooleanField()
    body_stored = models.BooleanField()
    data = models.JSONField()

    objects: ClassVar[models.Manager["RecordRow"]] = OrganisationQuerySet["RecordRow"].as_manager()

    class Meta:
        managed = False
        db_table = "audit_record"
        verbose_name = _("record")
        verbose_name_plural = _("records")

    @override
    def __str__(self) -> str:
        return str(self.id)


class BodyRow(models.Model):
    """Sealed prompt and answer of one exchange."""

    pk = models.CompositePrimaryKey("ts", "id")
    ts = models.DateTimeField()
    id = models.CharField(max_length=40)
    organisation_id = models.CharField(max_length=40)
    subject = models.TextField()
    prompt = models.BinaryField()
    answer = models.BinaryField()
    redacted = models.BooleanField()

    objects: ClassVar[models.Manager["BodyRow"]] = OrganisationQuerySet["BodyRow"].as_manager()

    class Meta:
        managed = False
        db_table = "audit_body"
        verbose_name = _("body")
        verbose_name_plural = _("bodies")

    @override
    def __str__(self) -> str:
        return str(self.id)


class Shipped(models.Model):
    """How far the journal of one gateway process is in the database; `closed_at` once all of a dead one's is."""

    lease = models.CharField(_("lease"), primary_key=True, max_length=40)
    position = models.BigIntegerField(_("bytes shipped"), default=0)
    behind = models.BigIntegerField(_("bytes not yet shipped"), default=0)
    set_aside = models.IntegerField(_("lines set aside"), default=0)
    seen_at = models.DateTimeField(_("last seen"), default=clock.now)
    closed_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        db_table = "audit_shipped"
        verbose_name = _("journal")
        verbose_name_plural = _("journals")

    @override
    def __str__(self) -> str:
        return self.lease


class OpenLine(models.Model):
    """An admitted exchange whose end has not come in yet."""

    id = models.CharField(primary_key=True, max_length=40)
    organisation_id = models.CharField(max_length=40)
    lease = models.CharField(max_length=40, db_index=True)
    data = models.JSONField()

    class Meta:
        db_table = "audit_open"
        verbose_name = _("open exchange")
        verbose_name_plural = _("open exchanges")

    @override
    def __str__(self) -> str:
        return self.id


class Total(models.Model):
    """All-time counters of one organisation: they only grow, whatever is kept of the records."""

    organisation_id = models.CharField(primary_key=True, max_length=40)
    records = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    charged = models.BigIntegerField(default=0)

    class Meta:
        db_table = "audit_total"
        verbose_name = _("all-time counter")
        verbose_name_plural = _("all-time counters")

    @override
    def __str__(self) -> str:
        return self.organisation_id


class Spend(models.Model):
    """Micro-dollars charged to a budget in a quarter of an hour, kept by the database in the records' transaction."""

    pk = models.CompositePrimaryKey("organisation_id", "budget_id", "bucket")
    organisation_id = models.CharField(max_length=40)
    budget_id = models.TextField()
    bucket = models.DateTimeField()
    charged = models.BigIntegerField(default=0)
    records = models.BigIntegerField(default=0)

    class Meta:
        db_table = "audit_spend"
        verbose_name = _("spend")
        verbose_name_plural = _("spend")

    @override
    def __str__(self) -> str:
        return f"{self.budget_id} {self.bucket}"


class Correction(models.Model):
    """A finished record replaced an interrupted one: what that changes; written by the database itself."""

    organisation_id = models.CharField(max_length=40)
    record_id = models.CharField(max_length=40, unique=True)
    budget_ids = ArrayField(models.TextField())
    accounted_at = models.DateTimeField()
    charged_before = models.BigIntegerField()
    charged_after = models.BigIntegerField()
    at = models.DateTimeField()
    # Since when the spend counters in Redis know of it.
    applied_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "audit_correction"
        verbose_name = _("correction")
        verbose_name_plural = _("corrections")
        indexes = [
            models.Index(fields=["id"], name="audit_unapplied", condition=models.Q(applied_at=None)),
        ]

    @override
    def __str__(self) -> str:
        return self.record_id


class Reveal(OrganisationRow):
    """Somebody read the prompt and answer of an exchange, and why; only ever added."""

    KIND = "rvl"

    record_id = models.CharField(_("record"), max_length=40)
    actor_id = models.CharField(_("actor id"), max_length=40)
    actor_name = models.CharField(_("actor"), max_length=200)
    reason = models.TextField(_("reason"))
    had_body = models.BooleanField(_("a body was stored"))
    at = models.DateTimeField(_("when"), default=clock.now)

    class Meta:
        verbose_name = _("reveal")
        verbose_name_plural = _("reveals")
        indexes = [models.Index(fields=["organisation_id", "record_id"], name="audit_reveal_record")]

    @override
    def __str__(self) -> str:
        return f"{self.actor_name}: {self.record_id}"

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row; nothing alters it later."""
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    @override
    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Refused."""
        raise TypeError("A reveal is never removed.")
