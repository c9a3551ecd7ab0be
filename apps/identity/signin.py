# SPDX-License-Identifier: Apache-2.0
"""Where a password is asked for; guessing is slow for an account, an address, and the two together."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import F
from django.db.models.functions import Greatest
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from typing_extensions import override

from apps.core import clock
from apps.identity import services
from apps.identity.models import Person, SignInFailure

WINDOW = timedelta(minutes=15)
# Tries in vain per window: one account from one address, one account, one address.
LIMITS = {"both": 5, "account": 50, "address": 50}
# One statement, so that parallel guesses cannot all see the same count.
_COUNT = """
INSERT INTO identity_signinfailure AS row (digest, tries, started_at) VALUES (%(digest)s, 1, %(now)s)
ON CONFLICT (digest) DO UPDATE SET
    tries = CASE WHEN row.started_at < %(since)s THEN 1 ELSE row.tries + 1 END,
    started_at = CASE WHEN row.started_at < %(since)s THEN %(now)s ELSE row.started_at END
RETURNING tries, started_at
"""


@contextmanager
def one_try(account: str, address: str) -> Iterator[None]:
    """Count one try, before the password is looked at, and take it back when the block ends without a fault.

    ValidationError, with how long to wait, when there were too many.
    """
    digests = _digests(account, address)
    moment = clock.now()
    wait = timedelta(0)
    with connection.cursor() as cursor:
        for name, digest in digests.items():
            cursor.execute(_COUNT, {"digest": digest, "now": moment, "since": moment - WINDOW})
            tries, started_at = cursor.fetchone()
            if tries == 1:
                _forget_old()
            if tries > LIMITS[name]:
                wait = max(wait, started_at + WINDOW - moment)
    if wait:
        minutes = max(1, -(-int(wait.total_seconds()) // 60))
        raise ValidationError(
            ngettext(
                "Too many failed sign-ins. Try again in %(minutes)d minute.",
                "Too many failed sign-ins. Try again in %(minutes)d minutes.",
                minutes,
            )
            % {"minutes": minutes},
            code="locked",
        )
    yield
    rows = SignInFailure.objects.filter(digest__in=digests.values())
    rows.filter(digest=digests["both"]).delete()
    rows.update(tries=Greatest(F("tries") - 1, 0))


def _digests(account: str, address: str) -> dict[str, str]:
    parts = {
        "both": f"both {account} {address}",
        "account": f"account {account}",
        "address": f"address {address}",
    }
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in parts.items()}


def _forget_old() -> None:
    SignInFailure.objects.filter(started_at__lt=clock.now() - WINDOW).delete()


class SignInForm(AuthenticationForm):
    """The sign-in form of every page; Django's `login` then gives the session a new id."""

    username = forms.EmailField(
        label=_("E-mail address"),
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    error_messages = {
        "invalid_login": _(
            "That e-mail address and password do not belong together, or the account is closed."
        ),
        "inactive": _("This account is closed. Ask an administrator of your organisation."),
    }

    def clean_username(self) -> str:
        """The address in the form it is kept in."""
        return str(self.cleaned_data["username"]).strip().lower()

    @override
    def clean(self) -> dict[str, Any]:
        """Check the password, unless there were too many tries."""
        account = self.cleaned_data.get("username")
        if not account or not self.cleaned_data.get("password"):
            return super().clean()
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        with one_try(account, address):
            return super().clean()


class AdminSignInForm(SignInForm):
    """The sign-in form of the admin pages, which are for staff."""

    error_messages = {
        **SignInForm.error_messages,
        "not_staff": _(
            "This account does not open the admin pages. Ask an administrator of your organisation."
        ),
    }
    required_css_class = "required"

    @override
    def confirm_login_allowed(self, user: Any) -> None:
        """Staff only."""
        super().confirm_login_allowed(user)
        if not user.is_staff:
            raise ValidationError(self.error_messages["not_staff"], code="not_staff")


class OwnPasswordForm(PasswordChangeForm):
    """A new password for oneself; the old one cannot be guessed here either, say from a desk left unlocked."""

    required_css_class = "required"

    def __init__(self, user: Person, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.request = request

    @override
    def clean_old_password(self) -> str:
        """Check the old password, unless there were too many tries."""
        with one_try(self.user.email, self.request.META.get("REMOTE_ADDR", "")):
            return super().clean_old_password()

    @override
    def save(self, commit: bool = True) -> Person:
        """Set it by the service, which writes the change log; the person's other sessions end."""
        services.set_password(
            actor=self.user.actor(), person_id=self.user.pk, password=self.cleaned_data["new_password1"]
        )
        self.user.refresh_from_db(fields=["password"])
        return self.user
