# SPDX-License-Identifier: Apache-2.0
"""Which targets a request may go to, and in what order."""
