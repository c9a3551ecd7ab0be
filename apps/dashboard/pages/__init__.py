# SPDX-License-Identifier: Apache-2.0
"""Pages, one file each: a view reads selectors and renders one template."""
