# SPDX-License-Identifier: Apache-2.0
"""The settings of a process: each declared once, read once from the environment, never Django."""

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from smartflow_site import envtypes as kinds
from smartflow_site.envtypes import Kind

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("all", "gateway", "control", "compliance", "worker", "beat", "shipper")
# Written by quickstart or read by the tests: not settings of the server, and not misspelt ones either.
_NOT_SETTINGS = {"SMARTFLOW_URL", "SMARTFLOW_API_KEY"}
_NOT_PREFIXES = ("SMARTFLOW_ADMIN_", "SMARTFLOW_TEST_", "SMARTFLOW_BENCH_")


class EnvError(Exception):
    """Every wrong or missing setting, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def setting(name: str, kind: Kind, default: str, doc: str, *, secret: bool = False) -> Any:
    """Declare one setting; `default` is text so that the reference shows what a person would type."""
    meta = {"name": name, "kind": kind, "default": default, "doc": doc, "secret": secret}
    return field(metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """All settings of one process; the repr leaves secrets out."""

    service_type: str = setting(
        "SERVICE_TYPE",
        kinds.choice(*ROLES, aliases={"compliance_api_server": "compliance"}),
        "all",
        "The role this process plays.",
    )
    host: str = setting("SMARTFLOW_HOST", kinds.HOST, "127.0.0.1", "Address to listen on.")
    port: int = setting("SMARTFLOW_PORT", kinds.PORT, "8080", "Port to listen on.")
    workers: int = setting(
        "SMARTFLOW_WORKERS",
        kinds.whole(1, 256),
        "2",
        "Server processes behind the port; `serve` alone runs one unless this is set.",
    )
    var: Path = setting(
        "SMARTFLOW_VAR", kinds.PATH, str(ROOT / "var"), "Folder for data, secrets, journal and logs."
    )
    database_url: str = setting(
        "DATABASE_URL",
        kinds.url("postgresql", "postgres"),
        "",
        "PostgreSQL of the application role. Unset: `manage.py up` starts an embedded one.",
        secret=True,
    )
    database_owner_url: str = setting(
        "DATABASE_OWNER_URL",
        kinds.url("postgresql", "postgres"),
        "",
        "PostgreSQL of the role that owns the tables (migrations, partitions). Unset: DATABASE_URL.",
        secret=True,
    )
    database_pool: int = setting(
        "SMARTFLOW_DATABASE_POOL",
        kinds.whole(1, 200),
        "4",
        "Largest number of database connections per process.",
    )
    redis_url: str = setting(
        "REDIS_URL",
        kinds.url("redis", "rediss"),
        "",
        "Redis or Valkey. Unset: `manage.py up` starts an embedded one.",
        secret=True,
    )
    secret_key: str = setting(
        "SMARTFLOW_SECRET_KEY",
        kinds.TEXT,
        "",
        "Signs sessions. Unset: made once in `secrets/django.key` of SMARTFLOW_VAR.",
        secret=True,
    )
    key_ring: str = setting(
        "SMARTFLOW_KEY_RING", kinds.TEXT, "", "The key ring as JSON; overrides the file.", secret=True
    )
    key_ring_file: Path | None = setting(
        "SMARTFLOW_KEY_RING_FILE",
        kinds.PATH,
        "",
        "Key ring file. Unset: `secrets/keyring.json` of SMARTFLOW_VAR.",
    )
    journal_mode: str = setting(
        "SMARTFLOW_JOURNAL_MODE",
        kinds.choice("process", "strict", "closed"),
        "process",
        "Durability: `process` survives a killed process, `strict` a power loss, `closed` refuses without a journal.",
    )
    max_stale_s: int = setting(
        "SMARTFLOW_MAX_STALE_S",
        kinds.whole(1, 86400),
        "600",
        "How long gateways serve their last snapshot alone.",
    )
    max_body_bytes: int = setting(
        "SMARTFLOW_MAX_BODY_BYTES", kinds.size(1024, 1024**3), "16MiB", "Largest accepted request body."
    )
    upstream_client: str = setting(
        "SMARTFLOW_UPSTREAM_CLIENT",
        kinds.TEXT,
        "h1",
        "HTTP client used for calls to providers: h1 (our own) or aiohttp.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "SMARTFLOW_TRUSTED_PROXIES", kinds.NETWORKS, "", "Proxies whose forwarding headers are believed."
    )
    outbound_allow: tuple[str, ...] = setting(
        "SMARTFLOW_OUTBOUND_ALLOW",
        kinds.NETWORKS,
        "",
        "Private networks that calls may go to although typed by a user.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "SMARTFLOW_ALLOWED_HOSTS", kinds.HOSTS, "localhost,127.0.0.1,[::1]", "Host names the pages answer to."
    )
    cors_origins: tuple[str, ...] = setting(
        "SMARTFLOW_CORS_ORIGINS", kinds.ORIGINS, "", "Browser origins that may call the data plane."
    )
    debug: bool = setting("SMARTFLOW_DEBUG", kinds.SWITCH, "off", "Development pages and plain static files.")
    log_level: str = setting(
        "SMARTFLOW_LOG_LEVEL",
        kinds.choice("debug", "info", "warning", "error"),
        "info",
        "Least level that is logged.",
    )
    local_model: bool = setting(
        "SMARTFLOW_LOCAL_MODEL", kinds.SWITCH, "on", "Start the small local model beside the server."
    )
    local_model_url: str = setting(
        "SMARTFLOW_LOCAL_MODEL_URL",
        kinds.url("http"),
        "",
        "Where the local model listens; set by `manage.py up`.",
    )
    public_url: str = setting(
        "SMARTFLOW_PUBLIC_URL", kinds.url("http", "https"), "", "Address people use. Unset: host and port."
    )
    drain_wait_s: int = setting(
        "SMARTFLOW_DRAIN_WAIT_S",
        kinds.whole(0, 300),
        "0",
        "Time between readiness off and no longer accepting.",
    )
    drain_deadline_s: int = setting(
        "SMARTFLOW_DRAIN_DEADLINE_S",
        kinds.whole(1, 3600),
        "30",
        "Longest time running requests get at shutdown.",
    )

    @property
    def owner_url(self) -> str:
        """The URL of the role that owns the tables."""
        return self.database_owner_url or self.database_url

    @property
    def key_ring_path(self) -> Path:
        """The key ring file in use."""
        return self.key_ring_file or self.var / "secrets" / "keyring.json"

    @property
    def journal_dir(self) -> Path:
        """The folder of journals, one folder per gateway process inside."""
        return self.var / "journal"

    @property
    def address(self) -> str:
        """The public address without a slash at its end."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        host = f"[{host}]" if ":" in host else host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"


def load(environ: Mapping[str, str] | None = None, *, running_stores: bool = True) -> Env:
    """Read all settings; EnvError names all faults.

    The environment wins over `smartflow.env`, which wins over the note that running embedded stores leave.
    Whoever starts those stores passes `running_stores=False`: the note may be that of a killed run.
    """
    given = dict(os.environ if environ is None else environ)
    problems: list[str] = []
    var = _var_folder(given)
    noted = _read_file(var / "stores.env", problems) if running_stores else {}
    values = {**noted, **_read_file(var / "smartflow.env", problems), **given}
    found: dict[str, Any] = {}
    for item in fields(Env):
        found[item.name] = _value(item, values, problems)
    problems += _misspelt(values)
    if found.get("database_owner_url") and not found.get("database_url"):
        problems.append("DATABASE_URL is missing although DATABASE_OWNER_URL is set.")
    if found.get("port") is not None and "*" in (found.get("allowed_hosts") or ()) and not found.get("debug"):
        problems.append(
            "SMARTFLOW_ALLOWED_HOSTS must name hosts: * is only accepted with SMARTFLOW_DEBUG=on."
        )
    if problems:
        raise EnvError(problems)
    return Env(**found)


def load_or_exit(environ: Mapping[str, str] | None = None) -> Env:
    """Read all settings, or say every problem on stderr and end with code 2."""
    try:
        return load(environ)
    except EnvError as fault:
        exit_with(fault)


def exit_with(fault: EnvError) -> NoReturn:
    """Say every problem on stderr and end with code 2."""
    for problem in fault.problems:
        print(f"smartflow: {problem}", file=sys.stderr)
    raise SystemExit(2)


def require(env: Env, *attributes: str) -> None:
    """Refuse to go on without settings that a role needs; EnvError names each."""
    names = {item.name: item.metadata["name"] for item in fields(Env)}
    missing = [names[attribute] for attribute in attributes if not getattr(env, attribute)]
    if missing:
        raise EnvError([f"{name} is missing; role {env.service_type} needs it." for name in missing])


def reference() -> str:
    """All settings as a Markdown table, in the order of declaration."""
    lines = ["| setting | type | default | what it does |", "|---|---|---|---|"]
    for item in fields(Env):
        meta = item.metadata
        default = (
            "`<checkout>/var`"
            if item.name == "var"
            else f"`{meta['default']}`"
            if meta["default"]
            else "unset"
        )
        note = " **Secret.**" if meta["secret"] else ""
        lines.append(f"| `{meta['name']}` | {meta['kind'].name} | {default} | {meta['doc']}{note} |")
    return "\n".join(lines)


def _var_folder(given: Mapping[str, str]) -> Path:
    """The var folder before anything is checked: files in it may hold further settings."""
    return Path(given.get("SMARTFLOW_VAR") or ROOT / "var").expanduser().absolute()


def _value(item: "Field[Any]", values: Mapping[str, str], problems: list[str]) -> Any:
    meta = item.metadata
    raw = values.get(meta["name"], "").strip() or meta["default"]
    if not raw:
        return () if str(item.type).startswith("tuple") else None if "None" in str(item.type) else ""
    try:
        return meta["kind"].parse(raw)
    except ValueError as fault:
        shown = "" if meta["secret"] else f" (it is {raw[:60]!r})"
        problems.append(f"{meta['name']} {fault}{shown}.")
        return None


def _misspelt(values: Mapping[str, str]) -> list[str]:
    names = [item.metadata["name"] for item in fields(Env)]
    problems = []
    for name in sorted(values):
        foreign = name in names or name in _NOT_SETTINGS or name.startswith(_NOT_PREFIXES)
        if foreign or not name.startswith("SMARTFLOW_"):
            continue
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.9)
        if near:
            problems.append(f"{name} is not a setting; did you mean {near[0]}?")
    return problems


def _read_file(path: Path, problems: list[str]) -> dict[str, str]:
    """KEY=VALUE lines of a settings file; an absent file is empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        problems.append(f"{path} cannot be read.")
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, separator, value = stripped.partition("=")
        if not separator or not name.strip().isidentifier():
            problems.append(f"{path} line {number} must be NAME=value.")
            continue
        found[name.strip()] = value.strip().strip("'\"")
    return found


if __name__ == "__main__":
    print(reference())
