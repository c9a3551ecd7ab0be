# SPDX-License-Identifier: Apache-2.0
"""The MCP gateway (not built yet)."""
