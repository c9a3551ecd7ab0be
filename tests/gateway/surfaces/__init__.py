# SPDX-License-Identifier: Apache-2.0
"""What clients of each dialect send and get, seen on the objects that read and write it."""
