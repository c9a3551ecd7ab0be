# SPDX-License-Identifier: Apache-2.0
"""My access: the reader's own keys, and the lines that use them."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from apps.dashboard.shell import actor_of, page, show
from apps.dashboard.snippet import curl
from apps.identity.domain import Actor
from apps.keys.selectors import keys
from apps.providers.selectors import models


@require_GET
@page()
def access(request: HttpRequest) -> HttpResponse:
    """What the person may use."""
    actor = actor_of(request)
    return show(request, "dashboard/access.html", first_steps(request, actor))


def first_steps(request: HttpRequest, actor: Actor) -> dict[str, object]:
    """The reader's keys, the models of the organisation, and a request that works with them."""
    names = list(
        models(actor.organisation_id).filter(enabled=True).order_by("id").values_list("name", flat=True)[:20]
    )
    return {
        "keys": list(keys(actor.organisation_id).filter(person_id=actor.id).order_by("name")[:50]),
        "models": names,
        "snippet": curl(request, names[0] if names else "MODEL"),
    }
