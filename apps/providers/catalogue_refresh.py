# SPDX-License-Identifier: Apache-2.0
"""Makes the price snapshot from the package genai-prices: what `manage.py prices refresh` does, and nothing else needs."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import msgspec

from apps.core import clock
from apps.providers.catalogue import Dated, Entry, Meta, Source
from apps.providers.rates import PriceList, Sheet, Tier, Window

PACKAGE, LICENCE = "genai-prices", "MIT"
_FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "input_image_mtok": "image_input",
    "input_video_mtok": "video_input",
    "cache_audio_read_mtok": "cached_audio",
    "cache_image_read_mtok": "cached_image",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
    "output_image_mtok": "image_output",
    "input_mchars": "characters",
    "input_document_kpages": "pages",
    "audio_hours": "hour",
    "input_audio_hours": "hour",
}
_TOOLS = {
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "social_searches_kcount": "social_search",
}
# Nobody publishes a finer price per million tokens.
_FINEST = Decimal(1).scaleb(-10)
# These charge their dearer hours from Monday to Friday only, which the package cannot say.
_WEEKDAYS = (0, 1, 2, 3, 4)
_WORKING_HOURS = {("deepseek", name) for name in ("deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro")}
_encode = msgspec.json.Encoder(decimal_format="string").encode


class MissingPackageError(Exception):
    """The package that the prices come from is not installed."""


def snapshot() -> bytes:
    """The whole snapshot, one line of JSON per provider and model, made from the installed package."""
    try:
        version = metadata.version(PACKAGE)
        providers = import_module("genai_prices.data").providers
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"The package {PACKAGE} is not installed; it belongs to the development tools (`make test` installs them)."
        ) from None
    lines = [line for provider in providers for line in _lines(provider)]
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()[:12]
    meta = Meta(
        source=PACKAGE, version=version, licence=LICENCE, made=clock.now().date().isoformat(), digest=digest
    )
    return b"\n".join([_encode(meta), *lines]) + b"\n"


def write(path: Path) -> int:
    """Write the snapshot where it differs from what is there; how many bytes were written."""
    made = snapshot()
    if path.exists() and path.read_bytes().partition(b"\n")[2] == made.partition(b"\n")[2]:
        return 0
    return path.write_bytes(made)


def _lines(provider: Any) -> Iterator[bytes]:
    yield _encode(
        Source(
            provider=provider.id,
            name=provider.name,
            address=provider.api_pattern,
            match=_clause(provider.provider_match),
            also=tuple(provider.fallback_model_providers or ()),
            urls=tuple(provider.pricing_urls or ()),
            note=_line(provider.price_comments),
        )
    )
    yield from (_encode(_entry(provider.id, model)) for model in provider.models)


def _entry(provider: str, model: Any) -> Entry:
    left_out: set[str] = set()
    history = tuple(Dated(since, _list(provider, model, since, left_out)) for since in _moments(model))
    return Entry(
        provider=provider,
        id=model.id,
        name=model.name or "",
        match=_clause(model.match),
        context=model.context_window or 0,
        deprecated=bool(model.deprecated),
        note=_line(model.price_comments),
        left_out=tuple(sorted(left_out)),
        history=history,
    )


def _moments(model: Any) -> list[str]:
    """The dates on which anything changes; the empty one is "since ever"."""
    constraints = [price.constraint for price in _conditional(model)]
    constraints += [variant.constraint for variant in model.price_variants or ()]
    return ["", *sorted({one.start_date.isoformat() for one in constraints if hasattr(one, "start_date")})]


def _conditional(model: Any) -> Iterable[Any]:
    return model.prices if isinstance(model.prices, list) else ()


def _list(provider: str, model: Any, since: str, left_out: set[str]) -> PriceList:
    """The prices from a date on."""
    standard = _known(_standard(model, since))
    sheet = _sheet(standard, left_out)
    services: dict[str, Sheet] = {}
    for variant in model.price_variants or ():
        # The first variant that applies holds; it names only what it has other prices for.
        if _begun(variant.constraint, since):
            own = _sheet(standard | _known(variant.prices), left_out)
            services.setdefault(_service(variant.when), own)
    last = since == _moments(model)[-1]
    return PriceList(
        **_fields(sheet),
        services={name: one for name, one in services.items() if one != sheet},
        windows=tuple(_windows(provider, model, left_out)) if last else (),
    )


def _standard(model: Any, since: str) -> Any:
    if not isinstance(model.prices, list):
        return model.prices
    found = model.prices[0].prices
    for price in model.prices:
        if hasattr(price.constraint, "start_date") and _begun(price.constraint, since):
            found = price.prices
    return found


def _windows(provider: str, model: Any, left_out: set[str]) -> Iterator[Window]:
    days = _WEEKDAYS if (provider, model.id) in _WORKING_HOURS else tuple(range(7))
    for price in _conditional(model):
        if hasattr(price.constraint, "start_time"):
            sheet = _sheet(_known(price.prices), left_out)
            start, end = _minute(price.constraint.start_time), _minute(price.constraint.end_time)
            yield Window(start=start, end=end, days=days, **_fields(sheet))


def _minute(moment: time) -> int:
    # The package means UTC where it names no zone.
    shifted = datetime.combine(date(1970, 1, 2), moment.replace(tzinfo=moment.tzinfo or UTC))
    utc = shifted.astimezone(UTC)
    return utc.hour * 60 + utc.minute


def _begun(constraint: Any, since: str) -> bool:
    if constraint is None:
        return True
    return hasattr(constraint, "start_date") and constraint.start_date.isoformat() <= since


def _service(when: dict[str, str]) -> str:
    """The service tier as providers name it in answers; other conditions keep their own name."""
    (key, value), *rest = sorted(when.items())
    if rest or key not in {"processing", "service_tier", "speed"}:
        return ",".join(f"{name}={text}" for name, text in sorted(when.items()))
    return value


def _known(prices: Any) -> dict[str, Any]:
    return {key: value for key, value in prices.__dict__.items() if value is not None and key[0] != "_"}


def _fields(sheet: Sheet) -> dict[str, Any]:
    return {name: getattr(sheet, name) for name in sheet.__struct_fields__}


def _sheet(known: dict[str, Any], left_out: set[str]) -> Sheet:
    starts = sorted({tier.start for value in known.values() for tier in getattr(value, "tiers", ())})
    tiers = tuple(Tier(above=start, **_prices(known, start, left_out)) for start in starts)
    return Sheet(**_prices(known, None, left_out), tiers=tiers)


def _prices(known: dict[str, Any], start: int | None, left_out: set[str]) -> dict[str, Any]:
    """The fields of `Prices` below the first tier, or in the tier that begins at `start`."""
    found: dict[str, Any] = {}
    tools: dict[str, Decimal] = {}
    for key, value in known.items():
        price = _at(value, start)
        if key in _TOOLS:
            tools[_TOOLS[key]] = price
        elif key == "requests_kcount":
            found["request"] = price.scaleb(-3)
        elif key in _FIELDS:
            found[_FIELDS[key]] = price
        else:
            left_out.add(key)
    return found | ({"tools": tools} if tools else {})


def _at(value: Any, start: int | None) -> Decimal:
    if not hasattr(value, "tiers"):
        return _price(value)
    price = value.base
    for tier in value.tiers:
        if start is not None and tier.start <= start:
            price = tier.price
    return _price(price)


def _price(number: Decimal) -> Decimal:
    """A price without the noise of a float that it once was, such as 0.18000000000000002."""
    return Decimal(f"{Decimal(number).quantize(_FINEST).normalize():f}")


def _clause(clause: Any) -> dict[str, Any]:
    """A condition on a name as JSON: one of equals, starts_with, ends_with, contains, regex, or, and."""
    if clause is None:
        return {}
    ((key, value),) = clause.__dict__.items()
    if key in {"or_", "and_"}:
        return {key.rstrip("_"): [_clause(one) for one in value]}
    return {key: value}


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
