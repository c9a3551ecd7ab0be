# SPDX-License-Identifier: Apache-2.0
"""Personal tokens as a way into the control API."""

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override

from apps.core import clock
from apps.identity import selectors, tokens
from apps.identity.models import Person, PersonalToken


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer sf-pat-…`; first in the list, so that strangers get 401 and are told the scheme."""

    @override
    def authenticate(self, request: Request) -> tuple[Person, PersonalToken] | None:
        """The person and the token; None when the header is not there; AuthenticationFailed when it is no good."""
        scheme, _space, credential = get_authorization_header(request).partition(b" ")
        if not scheme:
            return None
        if scheme.lower() != b"bearer":
            raise AuthenticationFailed(_("Send the token as `Authorization: Bearer sf-pat-…`."))
        token = selectors.token_of(credential.strip().decode("latin-1"))
        if token is None:
            raise AuthenticationFailed(_("This is not a personal token of this system."))
        if token.revoked_at is not None:
            raise AuthenticationFailed(_("This token was revoked. Make a new one under My access."))
        if token.expires_at <= clock.now():
            raise AuthenticationFailed(_("This token has ended. Make a new one under My access."))
        if not token.person.is_active:
            raise AuthenticationFailed(
                _("This account is closed. Ask an administrator of your organisation.")
            )
        tokens.note_use(token)
        return token.person, token

    @override
    def authenticate_header(self, request: Request) -> str:
        """What a stranger should send."""
        return 'Bearer realm="smartflow"'
