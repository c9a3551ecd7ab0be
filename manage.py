#!/usr/bin/env python
# SPDX-License-Identifier: Apache-2.0
"""The one command of Smartflow: `up` and `serve` start processes without Django, the rest is Django's."""

import os
import sys


def main(argv: list[str]) -> int:
    """Hand the command to the half of the system that answers it."""
    if argv[1:2] and argv[1] in {"up", "serve"}:
        from smartflow_site import cli

        return cli.main(argv[1:])
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartflow_site.settings")
    execute_from_command_line(argv)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
