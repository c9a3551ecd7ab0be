# SPDX-License-Identifier: Apache-2.0
"""The change log: who changed what, before and after, and what must be published because of it."""
