# SPDX-License-Identifier: Apache-2.0
"""Telling people and systems: in-app notices and signed webhooks, once per event."""
