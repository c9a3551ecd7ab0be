# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages."""

from django.urls import path, re_path

from apps.dashboard.pages import access, changes, entry, system

urlpatterns = [
    path("", entry.home, name="home"),
    re_path(r"^signin/?$", entry.signin, name="signin"),
    re_path(r"^signout/?$", entry.signout, name="signout"),
    re_path(r"^theme/?$", entry.theme, name="theme"),
    re_path(r"^go/?$", entry.goto, name="goto"),
    re_path(r"^changes/?$", changes.changes, name="changes"),
    re_path(r"^system/?$", system.system, name="system"),
    re_path(r"^access/?$", access.access, name="access"),
]
