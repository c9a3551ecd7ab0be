# SPDX-License-Identifier: Apache-2.0
"""Translations between wire dialects, by (client dialect, provider dialect)."""
