# SPDX-License-Identifier: Apache-2.0
"""Embeddings on this machine, off the event loop."""
