# SPDX-License-Identifier: Apache-2.0
"""What an exchange may cost at most, over all targets it may reach, and what prices count for the one that answers."""

import msgspec

from apps.core import ids
from apps.core.outcome import Refuse
from apps.gateway.exchange import Exchange
from apps.providers import tiers
from apps.providers.estimate import Reckoning, reckon
from apps.providers.rates import Rates, most
from apps.providers.stage import Route
from apps.routing import stage as routing
from apps.routing.domain import Target

_encode = msgspec.json.Encoder().encode


def planned(exchange: Exchange) -> tuple[Target, ...] | Refuse:
    """The targets to try, chosen once."""
    if exchange.plan is None:
        view, model = exchange.view, exchange.model
        assert view is not None and model is not None  # noqa: S101, PT018 - understand came first
        usable = view.providers
        if exchange.wishes.provider:
            usable = {key: value for key, value in usable.items() if value.name == exchange.wishes.provider}
        if exchange.only_at is not None:
            usable = {key: usable[key] for key in usable.keys() & exchange.only_at}
        exchange.plan = routing.plan(view.table, model.id, model.name, usable)
    return exchange.plan


def reserve(exchange: Exchange) -> int:
    """Micro-dollars that no planned target can exceed; what the input is likely to be is noted on the way.

    Where nothing is planned nothing will be sent, so nothing can be spent.
    """
    if exchange.fixed is not None:
        return exchange.fixed
    view, request, model, plan = exchange.view, exchange.request, exchange.model, planned(exchange)
    assert view is not None and request is not None and model is not None  # noqa: S101, PT018
    body, exchange.body = exchange.body or _encode(request.fields), b""
    if isinstance(plan, Refuse):
        return 0
    output = (request.output_limit or model.output_cap) * request.choices
    at_ms = ids.read_ms(exchange.record.id)
    services = ("", *tiers.asked(request.fields))
    dearest = 0
    for target in plan:
        route = view.routes[target.id]
        found = reckon(
            body,
            request.fields,
            dialect=route.dialect.name,
            upstream_model=route.upstream_model,
            context=model.context,
        )
        exchange.likely[target.id] = found.likely
        rates = route.rates_at(at_ms) or model.rates_at(at_ms)
        dearest = max(dearest, *(_most(rates, found, output, service, at_ms) for service in services))
    return dearest


def rates_of(exchange: Exchange, route: Route | None, at_ms: int) -> Rates | None:
    """The prices of a moment: those of the target, else those of the model; None where none are known."""
    own = route.rates_at(at_ms) if route is not None else None
    return own or (exchange.model.rates_at(at_ms) if exchange.model is not None else None)


def _most(rates: Rates | None, found: Reckoning, output: int, service: str, at_ms: int) -> int:
    return most(rates, found.most, output, service=service, at_ms=at_ms, text_only=found.text_only)
