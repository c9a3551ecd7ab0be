# SPDX-License-Identifier: Apache-2.0
"""Stored answers: scope keys and what is eligible."""
