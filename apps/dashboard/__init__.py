# SPDX-License-Identifier: Apache-2.0
"""The pages; they read the selectors of every room."""
