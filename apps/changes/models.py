# SPDX-License-Identifier: Apache-2.0
"""Rows of the change log, which only grows, and of what is still to be published."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import clock
from apps.core.tenancy import OrganisationQuerySet, OrganisationRow


class AppendOnlyError(Exception):
    """Somebody tried to alter or remove an entry of the change log."""

    def __init__(self) -> None:
        super().__init__("The change log only grows: an entry cannot be altered or removed.")


class ChangeQuerySet(OrganisationQuerySet["Change"]):
    """Changes, without the two methods that would alter history."""

    @override
    def update(self, **_fields: Any) -> NoReturn:
        """Refused."""
        raise AppendOnlyError

    @override
    def delete(self) -> NoReturn:
        """Refused."""
        raise AppendOnlyError


class Change(OrganisationRow):
    """One edit by somebody, with names copied so that it can be read when the actor is gone."""

    KIND = "chg"

    actor_id = models.CharField(_("actor id"), max_length=40)
    actor_name = models.CharField(_("actor"), max_length=200)
    actor_kind = models.CharField(_("kind of actor"), max_length=16)
    verb = models.CharField(_("what was done"), max_length=64)
    subject_id = models.CharField(_("subject id"), max_length=64)
    subject_name = models.CharField(_("subject"), max_length=200)
    subject_type = models.CharField(_("kind of subject"), max_length=40)
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)
    reason = models.TextField(_("reason"), blank=True, default="")
    request_id = models.CharField(_("request id"), max_length=64, blank=True, default="")
    at = models.DateTimeField(_("when"), default=clock.now)

    objects: ClassVar[models.Manager["Change"]] = ChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["organisation_id", "-id"], name="changes_newest"),
            models.Index(fields=["organisation_id", "subject_id", "-id"], name="changes_subject"),
            models.Index(fields=["organisation_id", "actor_id", "-id"], name="changes_actor"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.actor_name}: {self.verb} {self.subject_name}"

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the entry; AppendOnlyError when it is there already."""
        if not self._state.adding:
            raise AppendOnlyError
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    @override
    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Refused."""
        raise AppendOnlyError


class Outbox(models.Model):
    """One edit that gateways must hear of; written in the edit's own transaction."""

    room = models.CharField(max_length=40)
    organisation_id = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=40)
    digest = models.CharField(max_length=64, blank=True, default="")
    # What to publish under `digest` when the row is gone.
    gone = models.BinaryField(null=True)
    created = models.DateTimeField(default=clock.now)
    published_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Outbox"]] = OrganisationQuerySet["Outbox"].as_manager()

    class Meta:
        verbose_name = _("unpublished edit")
        verbose_name_plural = _("unpublished edits")
        indexes = [
            models.Index(fields=["id"], name="changes_unpublished", condition=models.Q(published_at=None)),
            models.Index(fields=["published_at"], name="changes_published"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.room} {self.subject_id}"
