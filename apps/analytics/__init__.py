# SPDX-License-Identifier: Apache-2.0
"""Figures about traffic: metrics, sweeping, rebuilding and reconciling of counters."""
