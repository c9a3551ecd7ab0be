# SPDX-License-Identifier: Apache-2.0
"""What parsing has in common in every dialect: JSON and its bounds, types, texts wherever they stand."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

import msgspec
from typing_extensions import override

from apps.core.limits import MAX_JSON_DEPTH
from apps.core.outcome import Refuse
from apps.gateway.surfaces.surface import ChatRequest, Object
from apps.gateway.texts import DepthError, Slot, collect_field
from apps.providers.pairs.pair import InvalidError

MOST_TOKENS = 10_000_000
MOST_NAME = 200
# Tells how a dialect's object is looked at: under other names or in another role than the objects around it.
View = Callable[[Object, str], tuple[Object, str]]

_PLACE = re.compile(r"`\$\.?([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]*")
_MEDIA = ("image/", "audio/", "video/")
# Shorter data is looked at as text: it costs nothing.
_LEAST_DATA = 256
_object = msgspec.json.Decoder(dict[str, Any]).decode


class Shadow(dict[str, Any]):
    """An object as policies see it; what they put here is put into the object it stands for."""

    __slots__ = ("_put",)

    def __init__(self, shown: Mapping[str, Any], put: Callable[[str, Any], None]) -> None:
        super().__init__(shown)
        self._put = put

    @override
    def __setitem__(self, place: str, text: Any) -> None:
        super().__setitem__(place, text)
        self._put(place, text)


def without(holder: Object, names: Collection[str]) -> Shadow:
    """The members of an object other than some, to be looked at and rewritten."""
    return Shadow({name: value for name, value in holder.items() if name not in names}, holder.__setitem__)


def parsed(body: bytes, build: Callable[[Object], ChatRequest | Refuse]) -> ChatRequest | Refuse:
    """A request made of a body by `build`, or why it is none, naming the field."""
    try:
        return build(_object(body))
    except InvalidError as fault:
        return wrong(fault.param, fault.reason)
    except msgspec.ValidationError as fault:
        return _invalid(fault)
    except (RecursionError, DepthError):
        return Refuse("invalid_json", f"The body is nested deeper than {MAX_JSON_DEPTH} levels.")
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        return Refuse("invalid_json", f"The body is not JSON: {str(fault)[:120]}.")


def wrong(name: str, rule: str) -> Refuse:
    """A refusal for the value of one field."""
    return Refuse("invalid_request", f"`{name}` {rule}.", name)


def collect(value: Any, role: str, found: list[Slot], view: View, depth: int = MAX_JSON_DEPTH) -> None:
    """All texts of a JSON value in their order, objects as `view` shows them; DepthError past the bound."""
    if depth == 0:
        _too_deep()
    if isinstance(value, dict):
        value, role = view(value, role)
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for place, inner in places:
        if isinstance(inner, (dict, list)):
            if inner:
                collect(inner, role, found, view, depth - 1)
        else:
            collect_field(value, place, role, found)


def collect_member(holder: Object, name: str, role: str, found: list[Slot], view: View) -> None:
    """All texts of one member of an object."""
    value = holder[name]
    if isinstance(value, (dict, list)):
        collect(value, role, found, view)
    else:
        collect_field(holder, name, role, found)


def is_media(media_type: Any, data: Any) -> bool:
    """Whether data is the bytes of a picture or the like, in which there is nothing to read."""
    return (
        isinstance(media_type, str)
        and media_type.startswith(_MEDIA)
        and isinstance(data, str)
        and len(data) >= _LEAST_DATA
        and _BASE64.fullmatch(data) is not None
    )


def _invalid(fault: msgspec.ValidationError) -> Refuse:
    missing, place = _MISSING.search(str(fault)), _PLACE.search(str(fault))
    if missing:
        return wrong(missing[1], "is missing")
    param = (place[1] if place else "") or None
    what = f"has the wrong type ({str(fault).partition(' - at')[0]})"
    return Refuse("invalid_request", f"`{param or 'body'}` {what}.", param)


def _too_deep() -> NoReturn:
    raise DepthError(f"nested deeper than {MAX_JSON_DEPTH} levels")
