# SPDX-License-Identifier: Apache-2.0
"""Webhooks: who keeps them, where they may go, and what is never shown again."""

from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.test import Client

from apps.changes.domain import Forbidden, Role
from apps.changes.selectors import history
from apps.core.django_ring import ring
from apps.core.keyring import Purpose
from apps.identity.models import Person
from apps.notify import services
from apps.notify.models import Delivery, Webhook
from tests.control import House, house

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/services/T0/very-secret?token=1"


@pytest.fixture
def acme() -> House:
    return house("Acme", *Role)


@pytest.fixture
def other() -> House:
    return house("Other", Role.ADMIN)


def create(of: House, role: Role | None = Role.ADMIN, **fields: Any) -> tuple[Webhook, str]:
    values: dict[str, Any] = {"name": "Chat", "url": URL, "events": ["approval.*"]}
    return services.create_webhook(actor=of.actor(role), **values | fields)


class TestServices:
    def test_the_secret_is_sealed_under_the_id_and_the_log_holds_neither_it_nor_the_path(
        self, acme: House
    ) -> None:
        row, secret = create(acme)
        assert secret.startswith("whsec_")
        assert secret.encode() not in bytes(row.secret)
        assert ring().open(Purpose.FIELD, bytes(row.secret), row.pk) == secret.encode()
        services.change_webhook(actor=acme.actor(Role.ADMIN), webhook_id=row.pk, enabled=False)
        said = repr([(entry.before, entry.after) for entry in history(acme.id, row.pk)])
        assert secret not in said
        assert "very-secret" not in said
        assert "https://hooks.example.com/…" in said

    def test_rotation_gives_another(self, acme: House) -> None:
        row, secret = create(acme)
        row, another = services.rotate_webhook_secret(actor=acme.actor(Role.ADMIN), webhook_id=row.pk)
        assert another != secret
        assert ring().open(Purpose.FIELD, bytes(row.secret), row.pk) == another.encode()

    @pytest.mark.parametrize("role", [role for role in [*Role, None] if role is not Role.ADMIN])
    def test_administrators_only(self, acme: House, role: Role | None) -> None:
        row, _secret = create(acme)
        with pytest.raises(Forbidden):
            create(acme, role, name="x")
        for write in (services.change_webhook, services.delete_webhook, services.rotate_webhook_secret):
            with pytest.raises(Forbidden):
                write(actor=acme.actor(role), webhook_id=row.pk)

    def test_neighbours_are_not_there(self, acme: House, other: House) -> None:
        row, _secret = create(acme)
        for write in (services.change_webhook, services.delete_webhook, services.rotate_webhook_secret):
            with pytest.raises(ObjectDoesNotExist):
                write(actor=other.actor(Role.ADMIN), webhook_id=row.pk)
        services.notify("approval.requested", other.id, title="x", dedupe_key="k")
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/x", "http://localhost:9/x", "http://10.1.2.3/", "http://169.254.169.254/latest",
            "http://[::1]/", "http://2130706433/", "ftp://example.com/", "https://user:pw@example.com/", "https://",
            "example.com", "http://[fd00::1]/", "http://0x7f.1/",
        ],
    )  # fmt: skip
    def test_private_and_odd_addresses_are_refused_by_field(self, acme: House, url: str) -> None:
        with pytest.raises(ValidationError) as caught:
            create(acme, url=url)
        assert list(caught.value.message_dict) == ["url"]

    def test_operators_may_allow_a_private_network(self, acme: House, settings: Any) -> None:
        settings.OUTBOUND_ALLOW = ("10.0.0.0/8",)
        assert create(acme, url="http://10.1.2.3/hook")[0].url == "http://10.1.2.3/hook"

    @pytest.mark.parametrize("events", [[], ["all"], ["approval.*.x"], ["Approval.requested"], ["**"]])
    def test_events_are_checked(self, acme: House, events: list[str]) -> None:
        with pytest.raises(ValidationError) as caught:
            create(acme, events=events)
        assert list(caught.value.message_dict) == ["events"]

    def test_only_what_is_wanted_is_sent_and_only_while_switched_on(self, acme: House) -> None:
        create(acme)
        create(acme, name="All", events=["*"])
        create(acme, name="One", events=["approval.denied"])
        create(acme, name="Off", events=["*"], enabled=False)
        for event in ("approval.requested", "budget.crossed", "approvals.x"):
            services.notify(event, acme.id, title="x", dedupe_key=event)
        sent = sorted(Delivery.objects.values_list("webhook__name", "notice__event"))
        assert sent == [
            ("All", "approval.requested"),
            ("All", "approvals.x"),
            ("All", "budget.crossed"),
            ("Chat", "approval.requested"),
        ]


class TestApi:
    def test_one_is_made_changed_and_deleted(self, acme: House) -> None:
        client = acme.client(Role.ADMIN)
        made = client.post("/api/webhooks", {"name": "Chat", "url": URL, "events": ["*"]})
        assert made.status_code == 201
        assert made.json()["secret"].startswith("whsec_")
        address = f"/api/webhooks/{made.json()['id']}"
        assert "secret" not in client.get(address).json()
        assert client.patch(address, {"enabled": False}).json()["enabled"] is False
        rotated = client.post(f"{address}/rotate").json()
        assert rotated["secret"] != made.json()["secret"]
        assert client.delete(address).status_code == 204
        assert client.get(address).status_code == 404

    def test_wrong_fields_are_named(self, acme: House) -> None:
        client = acme.client(Role.ADMIN)
        for fields, field in (
            ({"url": "http://127.0.0.1/"}, "url"),
            ({"events": ["x"]}, "events"),
            ({"events": []}, "events"),
            ({"secret": "mine"}, "secret"),
        ):
            answer = client.post("/api/webhooks", {"name": "Chat", "url": URL, "events": ["*"]} | fields)
            assert answer.status_code == 400
            assert list(answer.json()["errors"]) == [field]

    def test_roles_and_organisations(self, acme: House, other: House) -> None:
        row, _secret = create(acme)
        services.notify("approval.requested", acme.id, title="x", dedupe_key="k")
        delivery = Delivery.objects.get()
        address = f"/api/webhooks/{row.pk}"
        for client, wanted in ((acme.client(Role.ENGINEER), 403), (other.client(Role.ADMIN), 404)):
            for method, path in (
                ("get", address), ("patch", address), ("delete", address), ("post", f"{address}/rotate"),
                ("get", f"{address}/deliveries"), ("post", f"/api/deliveries/{delivery.pk}/retry"),
            ):  # fmt: skip
                assert getattr(client, method)(path, {}).status_code == wanted, path
        assert other.client(Role.ADMIN).get("/api/webhooks").json()["results"] == []

    def test_deliveries_can_be_seen_and_tried_again(self, acme: House) -> None:
        row, _secret = create(acme)
        notice = services.notify("approval.requested", acme.id, title="x", dedupe_key="k")
        Delivery.objects.update(state="failed", attempts=8, status=500, fault="The answer was 500.")
        client = acme.client(Role.ADMIN)
        (seen,) = client.get(f"/api/webhooks/{row.pk}/deliveries").json()["results"]
        assert (seen["event_id"], seen["state"], seen["status"]) == (notice, "failed", 500)
        again = client.post(f"/api/deliveries/{seen['id']}/retry").json()
        assert (again["state"], again["attempts"]) == ("waiting", 0)
        assert history(acme.id, row.pk)[0].verb == "webhook.delivery_retried"


class TestAdmin:
    @pytest.fixture
    def client(self, acme: House) -> Client:
        Person.objects.filter(pk=acme.person(Role.ADMIN).pk).update(is_staff=True)
        client = Client()
        client.force_login(acme.person(Role.ADMIN))
        return client

    def test_a_new_secret_is_shown_once(self, acme: House, client: Client) -> None:
        fields = {"name": "Chat", "url": URL, "events": "approval.*\nbudget.crossed", "enabled": "on"}
        page = client.post("/admin/notify/webhook/add/", fields, follow=True).content.decode()
        row = Webhook.objects.get()
        secret = ring().open(Purpose.FIELD, bytes(row.secret), row.pk).decode()
        assert row.events == ["approval.*", "budget.crossed"]
        assert row.organisation_id == acme.id
        assert secret.replace("+", "&#x2B;") in page.replace("+", "&#x2B;")
        again = client.get(f"/admin/notify/webhook/{row.pk}/change/").content.decode()
        assert secret not in again
        assert "approval.*\nbudget.crossed" in again

    def test_a_private_address_is_refused_with_a_sentence(self, client: Client) -> None:
        fields = {"name": "Chat", "url": "http://10.0.0.1/", "events": "*", "enabled": "on"}
        page = client.post("/admin/notify/webhook/add/", fields, follow=True).content.decode()
        assert "private address" in page
        assert not Webhook.objects.exists()

    def test_other_organisations_are_not_there(self, other: House, client: Client) -> None:
        row, _secret = create(other, name="Theirs-9")
        services.notify("approval.requested", other.id, title="Theirs-9", dedupe_key="k")
        for page in ("webhook", "delivery"):
            assert "Theirs-9" not in client.get(f"/admin/notify/{page}/").content.decode()
        assert client.get(f"/admin/notify/webhook/{row.pk}/change/").status_code == 302
        client.post("/admin/notify/webhook/", {"action": "rotate", "_selected_action": [row.pk]})
        assert bytes(Webhook.objects.get().secret) == bytes(row.secret)
