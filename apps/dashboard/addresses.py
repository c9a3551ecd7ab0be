# SPDX-License-Identifier: Apache-2.0
"""Addresses of the page one is on with something changed: everything visible is in the query."""

from django.http import HttpRequest


def changed(request: HttpRequest, **changes: str | None) -> str:
    """The page's own address with parameters set, or left out where None."""
    query = request.GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}" if query else request.path
