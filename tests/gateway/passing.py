# SPDX-License-Identifier: Apache-2.0
"""What tests of pass-through share: a key that may, a provider with a credential and a price, a policy."""

import base64
import socket
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from apps.core.keyring import Purpose
from apps.keys.domain import Budget
from apps.policies.domain import Action, Phase
from tests.gateway.desk import Desk
from tests.upstreams.any_server import AnyServer

CARD = "4111 1111 1111 1111"
DIGITS = CARD.replace(" ", "")
CREDENTIAL = "sk-provider-0123456789abcdef"
PRICE = Decimal("0.0025")
BUDGET = Budget(id="bgt_pass", name="Passing", limit=10_000)
AT = "/v1/passthrough/acme"
JSON = {"content-type": "application/json"}


def add(desk: Desk, provider: AnyServer, **more: Any) -> None:
    """The provider, with a credential and a price."""
    given: dict[str, Any] = {"name": "acme", "pass_price": PRICE, "pass_price_version": 3} | more
    row = desk.world.add_provider(given.pop("name"), provider.url, **given)
    sealed = desk.world.ring.seal(Purpose.FIELD, CREDENTIAL.encode(), bound_to=row.id)
    desk.world.put("providers", msgspec.structs.replace(row, credential=base64.b64encode(sealed).decode()))


def allow(desk: Desk, *patterns: str, **more: Any) -> None:
    """Set what the key may do."""
    desk.world.key = msgspec.structs.replace(desk.world.key, passthrough=patterns, **more)
    desk.world.put_key(desk.world.key)
    desk.sync()


def guard(desk: Desk, action: Action, *phases: Phase) -> None:
    """A policy about card numbers."""
    entities = {"entities": ["CREDIT_CARD"]}
    desk.world.add_policy("Cards", "pii", entities, action, phases=phases or (Phase.INPUT, Phase.OUTPUT))
    desk.sync()


def code(answer: httpx.Response) -> str:
    """The code of an error in OpenAI's form."""
    found: str = answer.json()["error"]["code"]
    return found


def raw(desk: Desk, target: str, *headers: str) -> int:
    """The status of a GET whose target is sent as it stands."""
    url = httpx.URL(desk.server.url)
    lines = [
        f"GET {target} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {desk.world.secret}",
        "connection: close",
    ]
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode())
        return int(connection.makefile("rb").readline().split()[1])
