# SPDX-License-Identifier: Apache-2.0
"""Official clients in front of providers: what each client must see, whoever answers."""
