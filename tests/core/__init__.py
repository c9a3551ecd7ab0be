# SPDX-License-Identifier: Apache-2.0
"""The basis every room stands on."""
