# SPDX-License-Identifier: Apache-2.0
"""Icons, verdicts and figures in templates: `{% load look %}`."""

from decimal import Decimal
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.dashboard import figures
from apps.dashboard.verdicts import Look

register = template.Library()


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A symbol of icons.svg, for eyes only: words stand beside it."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {css}" if css else "",
        static("icons.svg"),
        name,
    )


@register.simple_tag
def verdict(look: Look, more: str = "") -> SafeString:
    """Icon, word and colour of what happened; `more` takes the word's place."""
    return format_html(
        '<span class="verdict" data-v="{}">{}{}</span>', look.family, icon(look.icon), more or look.word
    )


@register.simple_tag(takes_context=True)
def keep_query(context: dict[str, Any], *left_out: str) -> SafeString:
    """Hidden inputs for what the address holds besides the named parameters, so that a form keeps it."""
    query = context["request"].GET
    pairs = ((name, value) for name in query if name not in left_out for value in query.getlist(name))
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', pairs)


@register.filter
def whole(value: Any) -> str:
    """A count with its thousands apart."""
    return figures.whole(int(value))


@register.filter
def ms(microseconds: int) -> str:
    """Microseconds as milliseconds."""
    return figures.milliseconds(microseconds)


@register.filter
def about_ms(microseconds: int) -> str:
    """Microseconds as whole milliseconds."""
    return figures.about_milliseconds(microseconds)


@register.filter
def exact_dollars(amount: Decimal) -> str:
    """Dollars with all six decimals."""
    return figures.exact_dollars(amount)


@register.filter
def duration(microseconds: int) -> str:
    """Microseconds in the unit that suits them."""
    return figures.duration(microseconds)


@register.filter
def dollars(amount: Decimal) -> str:
    """Dollars to the millionth."""
    return figures.dollars(amount)
