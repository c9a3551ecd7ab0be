# SPDX-License-Identifier: Apache-2.0
"""What choosing a vendor fills in: its dialect and its address, where the operator gives none."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.providers.domain import DIALECTS
from apps.providers.models import Provider
from apps.providers.vendors import VENDORS, Vendor


def filled(provider: Provider, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to set, with what the vendor knows; ValidationError by field.

    An address or dialect that is left empty, or left out while the vendor changes, becomes the vendor's.
    """
    wanted = dict(fields)
    name = wanted.get("vendor", provider.vendor)
    vendor = VENDORS.get(name)
    if name and vendor is None:
        raise ValidationError({"vendor": _("Choose one of: %s.") % ", ".join(VENDORS)})
    moved = wanted.get("vendor", provider.vendor) != provider.vendor
    for field, own in (
        ("dialect", vendor.dialect if vendor else DIALECTS[0]),
        ("base_url", _address(vendor)),
    ):
        if wanted.get(field) == "" or (moved and vendor is not None and field not in wanted):
            wanted[field] = own
    if vendor is not None:
        _check(vendor, wanted.get("dialect", provider.dialect), wanted.get("base_url", provider.base_url))
    return wanted


def _address(vendor: Vendor | None) -> str:
    return vendor.base_url if vendor else ""


def _check(vendor: Vendor, dialect: str, base_url: str) -> None:
    if dialect in DIALECTS and dialect != vendor.dialect:
        said = _("%(vendor)s is spoken to in %(dialect)s: choose that, or no vendor.")
        raise ValidationError({"dialect": said % {"vendor": vendor.name, "dialect": vendor.dialect}})
    if "{" in base_url:
        said = _("Put your own name in place of the braces: %s")
        raise ValidationError({"base_url": said % vendor.base_url})
