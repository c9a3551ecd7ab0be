# SPDX-License-Identifier: Apache-2.0
"""Providers, their credentials, models and prices; one file per wire dialect."""
