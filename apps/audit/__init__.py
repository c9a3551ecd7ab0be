# SPDX-License-Identifier: Apache-2.0
"""The record of every exchange: journal, shipper, sealed bodies, pages of records."""
