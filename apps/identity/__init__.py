# SPDX-License-Identifier: Apache-2.0
"""Organisations, teams, people, their roles and their ways of signing in."""
