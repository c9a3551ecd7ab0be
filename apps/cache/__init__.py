# SPDX-License-Identifier: Apache-2.0
"""MetaCache: answers given before, found again only where the same caller might have got them."""
