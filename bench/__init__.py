# SPDX-License-Identifier: Apache-2.0
"""Measures what a request costs and prints it as ratios: `make bench ARGS="--help"`."""
