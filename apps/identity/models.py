# SPDX-License-Identifier: Apache-2.0
"""Organisations, teams, groups, people and their tokens."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from apps.changes.domain import Actor
from apps.core import clock
from apps.core.tenancy import OrganisationQuerySet, OrganisationRow
from apps.identity.domain import Bodies, Role


class Organisation(OrganisationRow):
    """A tenant."""

    KIND = "org"
    BODIES = [
        (Bodies.OFF.value, _("Off")),
        (Bodies.REDACTED.value, _("Redacted")),
        (Bodies.FULL.value, _("Full")),
    ]

    name = models.CharField(_("name"), max_length=200, unique=True)
    bodies = models.CharField(
        _("prompts and answers"),
        max_length=16,
        choices=BODIES,
        default=Bodies.OFF.value,
        help_text=_("What is kept of prompts and answers: nothing, redacted text, or all of it, sealed."),
    )
    demo = models.BooleanField(_("demonstration"), default=False, editable=False)
    created_at = models.DateTimeField(_("made"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        ordering = ["name"]

    @override
    def __str__(self) -> str:
        return self.name

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the row, which belongs to itself."""
        self.organisation_id = self.id
        super().save(*args, **kwargs)


class Team(OrganisationRow):
    """People who share keys and budgets."""

    KIND = "team"

    name = models.CharField(_("name"), max_length=200)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organisation_id", "name"], name="identity_team_name"),
        ]

    @override
    def __str__(self) -> str:
        return self.name


class Group(OrganisationRow):
    """A set of people that a directory or an administrator named; policies and keys refer to it."""

    KIND = "grp"

    name = models.CharField(_("name"), max_length=200)

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organisation_id", "name"], name="identity_group_name"),
        ]

    @override
    def __str__(self) -> str:
        return self.name


class PersonManager(BaseUserManager["Person"]):
    """People, looked up by e-mail address whatever its case."""

    @override
    def get_queryset(self) -> OrganisationQuerySet["Person"]:
        """All people, with the question about the organisation."""
        return OrganisationQuerySet(self.model, using=self._db)

    def of(self, organisation_id: str) -> OrganisationQuerySet["Person"]:
        """The people of one organisation."""
        return self.get_queryset().of(organisation_id)

    @override
    def get_by_natural_key(self, username: str | None) -> "Person":
        """The person of an e-mail address."""
        return self.get(email=(username or "").strip().lower())


class Person(AbstractBaseUser):
    """Somebody of one organisation. Rights come from roles alone: there are no Django permissions."""

    KIND = "per"
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    id = models.CharField(primary_key=True, max_length=40, editable=False)
    organisation = models.ForeignKey(
        "identity.Organisation",
        on_delete=models.PROTECT,
        related_name="people",
        verbose_name=_("organisation"),
    )
    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=200)
    department = models.CharField(_("department"), max_length=200, blank=True, default="")
    groups = models.ManyToManyField(
        "identity.Group", related_name="people", blank=True, verbose_name=_("groups")
    )
    teams = models.ManyToManyField(
        "identity.Team", related_name="people", blank=True, verbose_name=_("teams")
    )
    roles = models.JSONField(_("roles"), default=list, blank=True)
    is_active = models.BooleanField(_("may sign in"), default=True)
    is_staff = models.BooleanField(_("may open the admin pages"), default=False)
    is_superuser = models.BooleanField(_("sees all organisations"), default=False)
    created_at = models.DateTimeField(_("made"), default=clock.now, editable=False)

    objects: ClassVar[PersonManager] = PersonManager()

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="identity_email_lower"),
        ]

    @override
    def __str__(self) -> str:
        return self.name

    @override
    def clean(self) -> None:
        """E-mail addresses are kept in lower case."""
        self.email = self.email.strip().lower()

    def actor(self, *, kind: str = "person", request_id: str = "") -> Actor:
        """The person as services want them."""
        known = {role.value for role in Role}
        return Actor(
            id=self.pk,
            name=self.name,
            kind=kind,
            organisation_id=self.organisation_id,
            roles=frozenset(role for role in self.roles if role in known),
            is_superuser=self.is_superuser,
            request_id=request_id,
        )

    def has_perm(self, _permission: str, _subject: Any = None) -> bool:
        """Django's question; roles answer on the pages themselves, so only superusers pass here."""
        return self.is_active and self.is_superuser

    def has_perms(self, _permissions: Any, _subject: Any = None) -> bool:
        """As `has_perm`."""
        return self.has_perm("")

    def has_module_perms(self, _room: str) -> bool:
        """Whether the room may show in the admin; its pages ask for roles themselves."""
        return self.is_active and self.is_staff


class PersonalToken(OrganisationRow):
    """A person's credential for the control API; the secret is not in it."""

    KIND = "tok"

    person = models.ForeignKey(
        "identity.Person", on_delete=models.CASCADE, related_name="tokens", verbose_name=_("person")
    )
    name = models.CharField(_("name"), max_length=200)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(_("ends in"), max_length=8)
    created_at = models.DateTimeField(_("made"), default=clock.now)
    expires_at = models.DateTimeField(_("ends"))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("personal token")
        verbose_name_plural = _("personal tokens")
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return f"{self.name} (…{self.hint})"


class SignInFailure(models.Model):
    """How often a password was tried in vain since `started_at`, by a digest of account and address."""

    digest = models.CharField(primary_key=True, max_length=64)
    tries = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("failed sign-in")
        verbose_name_plural = _("failed sign-ins")

    @override
    def __str__(self) -> str:
        return self.digest[:8]
