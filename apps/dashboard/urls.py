# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages."""

from django.urls import path, re_path

from apps.dashboard.pages import access, approvals, changes, entry, system, traces

urlpatterns = [
    path("", entry.home, name="home"),
    re_path(r"^signin/?$", entry.signin, name="signin"),
    re_path(r"^signout/?$", entry.signout, name="signout"),
    re_path(r"^theme/?$", entry.theme, name="theme"),
    re_path(r"^go/?$", entry.goto, name="goto"),
    re_path(r"^traces/?$", traces.traces, name="traces"),
    re_path(r"^traces/(?P<record_id>req_[0-9a-f]{32})/?$", traces.trace, name="trace"),
    re_path(r"^traces/(?P<record_id>req_[0-9a-f]{32})/reveal/?$", traces.reveal, name="reveal"),
    re_path(r"^approvals/?$", approvals.approvals, name="approvals"),
    re_path(r"^approvals/(?P<approval_id>apr_[0-9a-f]{32})/?$", approvals.approvals, name="approval"),
    re_path(r"^approvals/(?P<approval_id>apr_[0-9a-f]{32})/decide/?$", approvals.decide, name="decide"),
    re_path(r"^changes/?$", changes.changes, name="changes"),
    re_path(r"^system/?$", system.system, name="system"),
    re_path(r"^access/?$", access.access, name="access"),
]
