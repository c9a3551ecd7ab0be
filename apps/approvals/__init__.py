# SPDX-License-Identifier: Apache-2.0
"""Requests that a second person decides: request, decision, expiry."""
