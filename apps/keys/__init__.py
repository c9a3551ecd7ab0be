# SPDX-License-Identifier: Apache-2.0
"""Virtual keys, budgets and limits: who is calling, and may they spend."""
