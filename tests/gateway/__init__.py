# SPDX-License-Identifier: Apache-2.0
"""The data plane with real parts: a gateway process, Valkey, and an upstream over a socket."""
