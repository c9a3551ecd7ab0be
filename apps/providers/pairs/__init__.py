# SPDX-License-Identifier: Apache-2.0
"""Translations between wire dialects; `table` has them all, and nobody below it needs them all."""
