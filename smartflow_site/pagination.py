# SPDX-License-Identifier: Apache-2.0
"""Cursor pagination of the control API: ids carry their time, so newest first is by id."""

from rest_framework.pagination import CursorPagination


class ByIdentifier(CursorPagination):
    """Newest first, stable while rows are added; at most 200 per page."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 200
