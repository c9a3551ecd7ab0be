# SPDX-License-Identifier: Apache-2.0
"""The rooms of Smartflow; who may import whom is written in pyproject.toml and checked."""
