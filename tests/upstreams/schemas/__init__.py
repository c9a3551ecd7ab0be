# SPDX-License-Identifier: Apache-2.0
"""Pinned request schemas of three providers, and what reads them."""
