# SPDX-License-Identifier: Apache-2.0
"""Rows for the bench: `python -m bench.seed --json-url URL --sse-url URL --secrets FILE`.

The file, mode 600, holds one JSON object: the secret of each variant's key by the variant's name.
"""

import argparse
import json
import os
from pathlib import Path

import django

from smartflow_site.secretfile import write_private


def main() -> None:
    """Make an organisation for every variant and leave the secrets in the file."""
    parser = argparse.ArgumentParser(prog="bench.seed", description=__doc__)
    parser.add_argument("--json-url", required=True)
    parser.add_argument("--sse-url", required=True)
    parser.add_argument("--secrets", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartflow_site.settings")
    django.setup()
    # Rows can be imported only after Django is set up.
    from bench.seeding import seed
    from bench.variants import VARIANTS

    found = {variant.name: seed(variant, options.json_url, options.sse_url) for variant in VARIANTS}
    write_private(options.secrets, json.dumps(found))


if __name__ == "__main__":
    main()
