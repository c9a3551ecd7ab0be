# SPDX-License-Identifier: Apache-2.0
"""The filters of the traces list: from the address to what the audit room takes, and back as chips."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.audit.domain import Verdict
from apps.dashboard.addresses import changed
from apps.dashboard.exchange import PHASES
from apps.dashboard.shell import Text
from apps.dashboard.verdicts import LOOKS

LONGEST = 200
NAMES: dict[str, Text] = {
    "caller": _("Caller"),
    "team": _("Team"),
    "model": _("Model"),
    "target": _("Target"),
    "verdict": _("Verdict"),
    "status": _("Status"),
    "cache": _("Cache"),
}


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on; `without` is the address of the page without it."""

    name: Text
    value: Text
    without: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the filter form."""

    name: str
    label: Text
    value: str
    choices: tuple[tuple[str, Text], ...] = ()


def read(request: HttpRequest) -> dict[str, str]:
    """Name > value of the filters in the address; what cannot be meant (a status that is no number) is left out."""
    found = {name: request.GET.get(name, "").strip()[:LONGEST] for name in NAMES}
    if not (found["status"].isascii() and found["status"].isdigit() and len(found["status"]) == 3):
        found["status"] = ""
    if found["verdict"] not in set(Verdict):
        found["verdict"] = ""
    return {name: value for name, value in found.items() if value and "\x00" not in value}


def chips(request: HttpRequest, chosen: dict[str, str]) -> list[Chip]:
    """One chip per filter that is on."""
    return [
        Chip(NAMES[name], _word(name, value), changed(request, **{name: None, "cursor": None, "open": None}))
        for name, value in chosen.items()
    ]


def clear(request: HttpRequest) -> str:
    """The address of the page without any filter."""
    return changed(request, **dict.fromkeys([*NAMES, "cursor", "open"], None))


def fields(chosen: dict[str, str]) -> list[Field]:
    """The filter form."""
    choices: dict[str, tuple[tuple[str, Text], ...]] = {
        "verdict": tuple((verdict.value, look.word) for verdict, look in LOOKS.items()),
        "cache": tuple(PHASES.items()),
    }
    return [Field(name, label, chosen.get(name, ""), choices.get(name, ())) for name, label in NAMES.items()]


def _word(name: str, value: str) -> Text:
    if name == "verdict":
        return LOOKS[Verdict(value)].word
    return PHASES.get(value, value) if name == "cache" else value
