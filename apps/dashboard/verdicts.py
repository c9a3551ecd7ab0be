# SPDX-License-Identifier: Apache-2.0
"""What became of an exchange, as the pages say it: an icon, a past-tense word, a colour family."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.audit.domain import Record, State, Verdict


@dataclass(frozen=True, slots=True)
class Look:
    """How a verdict looks: `family` is the colour (`data-v` in app.css), `icon` a symbol of icons.svg."""

    family: str
    icon: str
    word: str | Promise


LOOKS = {
    Verdict.ALLOWED: Look("allow", "allow", _("Allowed")),
    Verdict.REDACTED: Look("redact", "redact", _("Redacted")),
    Verdict.BLOCKED: Look("block", "block", _("Blocked")),
    Verdict.HELD: Look("hold", "hold", _("Held")),
    Verdict.REFUSED: Look("block", "block", _("Refused")),
    Verdict.FAILED: Look("error", "error", _("Failed")),
}
RUNNING = Look("log", "log", _("Running"))
INTERRUPTED = Look("warn", "warn", _("Interrupted"))
# What one policy or one attempt did.
ACTIONS = {
    "allow": LOOKS[Verdict.ALLOWED],
    "log": Look("log", "log", _("Logged")),
    "redact": LOOKS[Verdict.REDACTED],
    "block": LOOKS[Verdict.BLOCKED],
    "error": LOOKS[Verdict.FAILED],
}


def look_of(record: Record) -> Look:
    """The look of an exchange: an end nobody saw counts before what was decided."""
    if record.state is State.OPEN:
        return RUNNING
    if record.state is State.INTERRUPTED:
        return INTERRUPTED
    return LOOKS[record.verdict]
