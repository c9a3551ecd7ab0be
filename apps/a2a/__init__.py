# SPDX-License-Identifier: Apache-2.0
"""The A2A agent gateway (not built yet)."""
