# SPDX-License-Identifier: Apache-2.0
"""Frameworks, findings, cases and reports (not built yet)."""
