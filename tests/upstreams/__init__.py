# SPDX-License-Identifier: Apache-2.0
"""Upstreams that speak a provider's dialect over a real socket; tests and the bench share them."""
