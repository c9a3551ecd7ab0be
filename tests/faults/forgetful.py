# SPDX-License-Identifier: Apache-2.0
"""`manage.py` with a journal that writes nothing: a gateway that loses what the oracle must miss."""

import sys

from apps.audit.journal import Journal
from smartflow_site.cli import main


def _write_nothing(self: Journal, kind: bytes, payload: bytes) -> None:
    """As if every line were lost."""


if __name__ == "__main__":
    Journal.write = _write_nothing  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
