# SPDX-License-Identifier: Apache-2.0
"""What every room needs: ids, money, time, refusals, secrets, and the clients of the hot path."""
