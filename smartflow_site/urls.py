# SPDX-License-Identifier: Apache-2.0
"""Addresses of the control half: pages, admin and the control API of every room."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path, re_path
from django.urls.resolvers import URLPattern, URLResolver
from drf_spectacular.views import SpectacularAPIView

from apps.core.django_api import NothingView
from apps.identity.admin import OwnPasswordView

_API = ("providers", "routing", "audit", "changes", "approvals", "notify", "identity", "keys", "policies")


urlpatterns: list[URLPattern | URLResolver] = [
    # Before the admin's own page of this name, which knows no lock and writes no change log.
    path("admin/password_change/", admin.site.admin_view(OwnPasswordView.as_view(), cacheable=True)),
    path("admin/", admin.site.urls),
    re_path(r"^api/schema/?$", SpectacularAPIView.as_view(), name="schema"),
    *(
        path("api/", include(f"apps.{room}.api"))
        for room in _API
        if find_spec(f"apps.{room}") and find_spec(f"apps.{room}.api")
    ),
    re_path(r"^api(?:/.*)?$", NothingView.as_view(), name="api-nothing"),
]
if find_spec("apps.dashboard") and find_spec("apps.dashboard.urls"):
    urlpatterns.append(path("", include("apps.dashboard.urls")))
    handler400 = "apps.dashboard.pages.faults.bad_request"
    handler403 = "apps.dashboard.pages.faults.forbidden"
    handler404 = "apps.dashboard.pages.faults.not_found"
    handler500 = "apps.dashboard.pages.faults.failed"
