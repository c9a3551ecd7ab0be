# SPDX-License-Identifier: Apache-2.0
"""Maestro, the policy engine: what may be said, to whom, and what happens when it may not."""
