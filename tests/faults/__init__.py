# SPDX-License-Identifier: Apache-2.0
"""Whole installations under load whose parts are killed; what clients and the upstream saw is the judge."""
