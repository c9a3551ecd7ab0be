# SPDX-License-Identifier: Apache-2.0
"""Which addresses a provider may have: typed by a person, so private networks are closed unless allowed."""

from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.core import net


def clean_base_url(text: str, *, private_allowed: bool) -> str:
    """The address without a slash at its end; ValidationError says what is wrong with it, never repeating it."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValidationError(_("This is not an address with a valid host and port.")) from None
    if parts.scheme not in {"http", "https"} or not sound or not text.isprintable() or " " in text:
        raise ValidationError(_("Give an address that begins with http:// or https:// and names a host."))
    if "@" in parts.netloc:
        raise ValidationError(
            _("Leave name and password out of the address; the credential has its own field.")
        )
    if "?" in text or "#" in text:
        raise ValidationError(_("Leave out everything from ? or # on."))
    if not private_allowed:
        try:
            net.check_url(text, settings.OUTBOUND_ALLOW)
        except net.AddressRefused as fault:
            raise ValidationError(str(fault)) from None
    return text.rstrip("/")


def same_server(one: str, other: str) -> bool:
    """Whether two addresses lead to one server: scheme, host and port are equal."""
    return _server(urlsplit(one)) == _server(urlsplit(other))


def _server(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
