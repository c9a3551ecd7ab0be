# SPDX-License-Identifier: Apache-2.0
"""The data plane: from the first byte of a request to the last of its answer; no Django here."""
