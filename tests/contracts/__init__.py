# SPDX-License-Identifier: Apache-2.0
"""Agreements that no single room can hold: imports, sizes, names, documents that must match the code."""
