# SPDX-License-Identifier: Apache-2.0
"""The pages under docs/reference that come from the code: `python -m tests.contracts.reference` writes them."""

import ast
import os
import sys
from collections.abc import Callable
from pathlib import Path

from apps.core import errors
from apps.providers import capabilities
from smartflow_site import env
from smartflow_site.env import ROOT
from tests.contracts import sources

FOLDER = ROOT / "docs" / "reference"
_MADE = "Written by `make reference` from the code; a test compares the two."


def error_page() -> str:
    """The error table of the data plane."""
    return f"""# Errors of the data plane

{_MADE}

Errors on `/v1` have OpenAI's shape: `{{"error": {{"message", "type", "param", "code"}}}}`. The message says what
happened, whose limit or policy it was, and what to do next. Errors on `/api` are problem details (RFC 9457).

{errors.reference()}
"""


def settings_page() -> str:
    """The table of settings."""
    return f"""# Settings

{_MADE}

A setting is read from the environment, else from `smartflow.env` in the var folder, else it has the default
below. Wrong and misspelt settings are named at start. What operators change while the system runs (providers,
models, targets, keys, budgets, policies) is in the database, not here.

{env.reference()}
"""


def openapi_page() -> str:
    """The control API as OpenAPI 3."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    # They need Django to be set up.
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.renderers import OpenApiYamlRenderer
    from drf_spectacular.validation import validate_schema

    GENERATOR_STATS.reset()
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    if GENERATOR_STATS:
        # What it warned of is on stderr; a page with a guess in it would be compared with the same guess.
        raise ValueError("the description of the API has gaps: see the warnings of drf-spectacular above")
    validate_schema(schema)
    made: bytes = OpenApiYamlRenderer().render(schema, renderer_context={})  # type: ignore[no-untyped-call]
    return made.decode()


def capabilities_page() -> str:
    """What clients of one dialect can have from providers of another."""
    return f"""# Capabilities

{_MADE} The same table is served at `GET /api/providers/capabilities`.

- **yes**: the provider is told; an answer comes back in the client's form.
- **400 `field`**: the provider cannot be told. The client gets a 400 that names its own field, unless it sends
  `x-smartflow-drop-params: true`: then the field is left out.
- **n/a**: the client's own dialect has no word for it.

Within one dialect requests are passed on as they are. Vendors that speak OpenAI's dialect with exceptions
(`GET /api/providers/vendors`) refuse more; that too is a 400 with the field. What official clients see of the answers
is in `docs/reference/compatibility.md`.

{capabilities.page()}"""


def names_page() -> str:
    """What rooms promise each other: the public names of every domain, and of packages with a door."""
    lines = ["# Exported names", "", _MADE, "", "A name that goes or changes here breaks another room.", ""]
    for path in sorted(sources.python(shipped=True)):
        names = _door(path)
        if names:
            module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
            lines.append(f"- `{module}`: {', '.join(f'`{name}`' for name in names)}")
    return "\n".join(lines) + "\n"


def _door(path: Path) -> list[str]:
    """The names in `__all__`, else the public ones of a domain module."""
    tree = ast.parse(sources.text(path))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
        ):
            return sorted(ast.literal_eval(node.value))
    if path.name != "domain.py":
        return []
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node.name for node in tree.body if isinstance(node, defined)]
    return sorted(name for name in found if not name.startswith("_"))


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": error_page,
    "settings.md": settings_page,
    "names.md": names_page,
    "capabilities.md": capabilities_page,
    "openapi.yaml": openapi_page,
}


def main() -> int:
    """Write the pages, or only those named on the command line."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or PAGES:
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
