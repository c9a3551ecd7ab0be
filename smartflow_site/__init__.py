# SPDX-License-Identifier: Apache-2.0
"""Composition root: joins the rooms into processes; nothing imports it."""
