# SPDX-License-Identifier: Apache-2.0
"""Rows of policies and of their versions, which only grow; private to this room."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.core import clock
from apps.core.tenancy import OrganisationQuerySet, OrganisationRow
from apps.policies.domain import Action, Phase

ACTIONS = [
    (Action.BLOCK.value, _("Block")),
    (Action.REDACT.value, _("Replace what is found")),
    (Action.LOG.value, _("Only record")),
]
PHASES = [(Phase.INPUT.value, _("Prompts")), (Phase.OUTPUT.value, _("Answers"))]


class AppendOnlyError(Exception):
    """Somebody tried to alter or remove a version of a policy."""

    def __init__(self) -> None:
        super().__init__("Versions of policies only grow: one cannot be altered or removed.")


class PolicyRow(OrganisationRow):
    """A policy as it is enforced now; what it was before is in its versions."""

    KIND: ClassVar[str] = "pol"

    name = models.CharField(_("name"), max_length=80)
    version = models.PositiveIntegerField(_("version"), default=0, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    phases = models.JSONField(_("looks at"), default=list)
    action = models.CharField(_("what it does"), max_length=16, choices=ACTIONS, default=Action.BLOCK.value)
    detectors = models.JSONField(_("looks for"), default=list)
    scope = models.JSONField(_("whose exchanges"), default=dict, blank=True)
    fail_closed = models.BooleanField(
        _("stop when it cannot be checked"),
        default=True,
        help_text=_("Otherwise the text passes unchecked, and the record says so."),
    )

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("organisation_id", "name"),
                name="policies_policy_name",
                violation_error_code="unique",
                violation_error_message=_("A policy of this name exists."),
            ),
        )

    @override
    def __str__(self) -> str:
        return self.name


class VersionQuerySet(OrganisationQuerySet["PolicyVersion"]):
    """Versions, without the two methods that would alter history."""

    @override
    def update(self, **_fields: Any) -> NoReturn:
        """Refused."""
        raise AppendOnlyError

    @override
    def delete(self) -> NoReturn:
        """Refused."""
        raise AppendOnlyError


class PolicyVersion(OrganisationRow):
    """What a policy said from some moment on; outlives the policy, as the records that name it do."""

    KIND: ClassVar[str] = "plv"

    policy_id = models.CharField(_("policy id"), max_length=40, editable=False)
    number = models.PositiveIntegerField(_("number"), editable=False)
    content = models.JSONField(_("content"), editable=False)
    author_id = models.CharField(_("author id"), max_length=40, editable=False)
    author_name = models.CharField(_("author"), max_length=200, editable=False)
    reason = models.TextField(_("reason"), blank=True, default="", editable=False)
    at = models.DateTimeField(_("when"), default=clock.now, editable=False)

    objects: ClassVar[models.Manager["PolicyVersion"]] = VersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("version of a policy")
        verbose_name_plural = _("versions of policies")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("policy_id", "number"), name="policies_version_number"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.policy_id} {self.number}"

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the version; AppendOnlyError when it is there already."""
        if not self._state.adding:
            raise AppendOnlyError
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    @override
    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Refused."""
        raise AppendOnlyError
