# SPDX-License-Identifier: Apache-2.0
"""Requests as real programs sent them to the stand-ins; their prose is replaced, their shape is not."""
