# SPDX-License-Identifier: Apache-2.0
"""The upstream clients against a peer that answers byte by byte what a test says."""
