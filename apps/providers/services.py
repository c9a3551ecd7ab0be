# SPDX-License-Identifier: Apache-2.0
"""Writes of this room: providers with their sealed credentials, models with their versioned rates."""

from decimal import Decimal
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.changes.domain import Actor
from apps.changes.publish import enqueue
from apps.changes.services import record
from apps.core import ids, money
from apps.core.django_ring import ring
from apps.core.django_rows import delete_checked, rows_of, save_checked, scope
from apps.core.keyring import Purpose
from apps.identity.domain import Role, require
from apps.providers.address import clean_base_url, same_server
from apps.providers.catalogue import catalogue
from apps.providers.domain import CHAT, DIALECTS, EMBEDDING, LOCAL, LOCAL_URL
from apps.providers.models import Model, ModelAlias, Provider
from apps.providers.services_vendors import filled

KINDS = (CHAT, EMBEDDING)
WRITERS = (Role.ADMIN, Role.ENGINEER)
_RATES = ("input_rate", "output_rate", "cached_rate", "request_rate")


class ProviderFields(TypedDict, total=False):
    """What can be set on a provider; `credential` is plain text here and nowhere else, empty takes it away."""

    name: str
    vendor: str
    dialect: str
    base_url: str
    credential: str
    connect_seconds: float
    answer_seconds: float
    silence_seconds: float
    verify_tls: bool
    private_allowed: bool
    pass_price: Decimal | None
    enabled: bool


class ModelFields(TypedDict, total=False):
    """What can be set on a model; rates are dollars per million tokens and per request."""

    name: str
    kind: str
    output_cap: int
    context: int
    input_rate: Decimal | None
    output_rate: Decimal | None
    cached_rate: Decimal | None
    request_rate: Decimal
    catalogue_provider: str
    catalogue_model: str
    default: bool
    enabled: bool


@transaction.atomic
def create_provider(*, actor: Actor, reason: str = "", **fields: Unpack[ProviderFields]) -> Provider:
    """A new provider of the actor's organisation; ValidationError by field."""
    require(actor, *WRITERS)
    provider = Provider(id=ids.new(Provider.KIND), organisation_id=actor.organisation_id)
    _set_provider(provider, actor, fields)
    save_checked(provider)
    _note(actor, "provider.created", provider, None, provider_facts(provider), reason)
    return provider


@transaction.atomic
def change_provider(
    *, actor: Actor, provider_id: str, reason: str = "", **fields: Unpack[ProviderFields]
) -> Provider:
    """Set some fields; nothing is written where nothing changes. DoesNotExist, ValidationError."""
    require(actor, *WRITERS)
    provider = rows_of(Provider, scope(actor)).select_for_update().get(id=provider_id)
    before, sealed = provider_facts(provider), bytes(provider.credential)
    _set_provider(provider, actor, fields)
    after = provider_facts(provider)
    if bytes(provider.credential) != sealed:
        after["credential"] = "changed" if sealed and provider.credential else after["credential"]
    if before != after:
        save_checked(provider)
        _note(actor, "provider.changed", provider, before, after, reason)
    return provider


@transaction.atomic
def delete_provider(*, actor: Actor, provider_id: str, reason: str = "") -> None:
    """Remove a provider that nothing uses; InUseError names what does. DoesNotExist."""
    require(actor, *WRITERS)
    provider = rows_of(Provider, scope(actor)).select_for_update().get(id=provider_id)
    before = provider_facts(provider)
    delete_checked(provider)
    _note(actor, "provider.deleted", provider, before, None, reason)


@transaction.atomic
def create_model(*, actor: Actor, reason: str = "", **fields: Unpack[ModelFields]) -> Model:
    """A new model of the actor's organisation; ValidationError by field."""
    require(actor, *WRITERS)
    model = Model(id=ids.new(Model.KIND), organisation_id=actor.organisation_id)
    _set_model(model, fields)
    _save_model(model)
    _note(actor, "model.created", model, None, model_facts(model), reason)
    return model


@transaction.atomic
def change_model(*, actor: Actor, model_id: str, reason: str = "", **fields: Unpack[ModelFields]) -> Model:
    """Set some fields; a changed rate makes a new version of the rates. DoesNotExist, ValidationError."""
    require(actor, *WRITERS)
    model = rows_of(Model, scope(actor)).select_for_update().get(id=model_id)
    before = model_facts(model)
    _set_model(model, fields)
    after = model_facts(model)
    if before != after:
        _save_model(model)
        _note(actor, "model.changed", model, before, after, reason)
    return model


@transaction.atomic
def delete_model(*, actor: Actor, model_id: str, reason: str = "") -> None:
    """Remove a model that nothing uses; InUseError names what does. DoesNotExist."""
    require(actor, *WRITERS)
    model = rows_of(Model, scope(actor)).select_for_update().get(id=model_id)
    before = model_facts(model)
    delete_checked(model)
    _note(actor, "model.deleted", model, before, None, reason)


def provider_facts(provider: Provider) -> dict[str, Any]:
    """What the change log and the API may show; of the credential only whether there is one."""
    return {
        "name": provider.name,
        "vendor": provider.vendor,
        "dialect": provider.dialect,
        "base_url": provider.base_url,
        "credential": "set" if provider.credential else "",
        "connect_seconds": provider.connect_seconds,
        "answer_seconds": provider.answer_seconds,
        "silence_seconds": provider.silence_seconds,
        "verify_tls": provider.verify_tls,
        "private_allowed": provider.private_allowed,
        "pass_price": _amount(provider.pass_price),
        "pass_price_version": provider.pass_price_version,
        "enabled": provider.enabled,
    }


def model_facts(model: Model) -> dict[str, Any]:
    """What the change log and the API show; rates as text without needless zeros."""
    facts: dict[str, Any] = {
        "name": model.name,
        "kind": model.kind,
        "output_cap": model.output_cap,
        "context": model.context,
        "catalogue_provider": model.catalogue_provider,
        "catalogue_model": model.catalogue_model,
        "price_version": model.price_version,
        "default": model.default,
        "enabled": model.enabled,
    }
    return facts | {name: _amount(getattr(model, name)) for name in _RATES}


def _set_provider(provider: Provider, actor: Actor, fields: ProviderFields) -> None:
    wanted: dict[str, Any] = filled(provider, fields)
    credential = wanted.pop("credential", None)
    private = wanted.pop("private_allowed", None)
    old_url, old_price = provider.base_url, _amount(provider.pass_price)
    for name, value in wanted.items():
        setattr(provider, name, value)
    if provider.dialect not in (*DIALECTS, LOCAL):
        raise ValidationError({"dialect": _("Choose one of: %s.") % ", ".join((*DIALECTS, LOCAL))})
    _allow_private(provider, actor, private, moved=provider.base_url != old_url)
    provider.base_url = _clean_address(provider)
    if provider.credential and credential is None and not same_server(old_url, provider.base_url):
        raise ValidationError(
            {"credential": _("The address leads to another server: give the credential for it as well.")}
        )
    if old_price != _amount(provider.pass_price):
        provider.pass_price_version += 1
    if credential is not None:
        provider.credential = _sealed(credential.strip(), provider.id)


def _clean_address(provider: Provider) -> str:
    """The address as it is kept; what runs inside the gateway has none of its own."""
    if provider.dialect == LOCAL:
        if provider.base_url not in {"", LOCAL_URL}:
            raise ValidationError({"base_url": _("Leave this empty: what is local has no address.")})
        return LOCAL_URL
    try:
        return clean_base_url(provider.base_url, private_allowed=provider.private_allowed)
    except ValidationError as fault:
        raise ValidationError({"base_url": fault.messages}) from None


def _allow_private(provider: Provider, actor: Actor, wanted: bool | None, *, moved: bool) -> None:
    """The permission belongs to the address that an operator gave; whoever else changes that loses it."""
    operator = actor.kind == "system"
    if wanted and not operator and not provider.private_allowed:
        raise ValidationError({"private_allowed": _("Only the operator of this installation can set this.")})
    if wanted is not None:
        provider.private_allowed = wanted
    if moved and not operator:
        provider.private_allowed = False


def _sealed(credential: str, provider_id: str) -> bytes:
    if not credential:
        return b""
    if not credential.isascii() or not credential.isprintable() or len(credential) > 4096:
        raise ValidationError({"credential": _("A credential is one line of ASCII text.")})
    return ring().seal(Purpose.FIELD, credential.encode(), bound_to=provider_id)


def _set_model(model: Model, fields: ModelFields) -> None:
    rates = [_amount(getattr(model, name)) for name in _RATES]
    for name, value in fields.items():
        setattr(model, name, value)
    if rows_of(ModelAlias, model.organisation_id).filter(name=model.name).exists():
        raise ValidationError({"name": _("This name is an alias of another model: change the alias first.")})
    if model.kind not in KINDS:
        raise ValidationError({"kind": _("Choose one of: %s.") % ", ".join(KINDS)})
    model.clean_fields(exclude=("id", "organisation_id"))
    _check_catalogue(model)
    if rates != [_amount(getattr(model, name)) for name in _RATES]:
        model.price_version += 1


def _check_catalogue(model: Model) -> None:
    """A link to the catalogue leads somewhere; the model's own name stands where it names none."""
    book = catalogue()
    model.catalogue_digest = book.meta.digest
    if not model.catalogue_provider:
        if model.catalogue_model:
            raise ValidationError({"catalogue_provider": _("Name the provider in the price catalogue too.")})
        return
    source = book.source(model.catalogue_provider)
    if source is None:
        raise ValidationError({"catalogue_provider": _("The price catalogue has no such provider.")})
    model.catalogue_provider = source.provider
    if book.find(source.provider, model.catalogue_model or model.name) is None:
        raise ValidationError(
            {"catalogue_model": _("The price catalogue has no such model of %s.") % source.name}
        )


def _save_model(model: Model) -> None:
    """Save; where this model becomes the default, the one before it steps back first."""
    if model.default:
        others = rows_of(Model, model.organisation_id).filter(default=True).exclude(id=model.id)
        for other in others.select_for_update():
            other.default = False
            other.save(update_fields=["default"])
            enqueue("models", other.organisation_id, other.id)
    save_checked(model)


def _amount(rate: Decimal | None) -> str | None:
    return None if rate is None else money.text(Decimal(rate))


def _note(
    actor: Actor,
    verb: str,
    row: Provider | Model,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    """The change record, and the news for gateways."""
    record(
        actor=actor,
        organisation_id=row.organisation_id,
        verb=verb,
        subject=row.id,
        subject_name=row.name,
        before=before,
        after=after,
        reason=reason,
    )
    enqueue("providers" if isinstance(row, Provider) else "models", row.organisation_id, row.id)
