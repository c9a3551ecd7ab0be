# SPDX-License-Identifier: Apache-2.0
"""The commands that start processes: `up` for one machine, `serve` for one role; no Django here."""

import argparse
import asyncio
import os
import sys

from smartflow_site.env import ROLES, EnvError, exit_with, load
from smartflow_site.process import Fault

_FLAGS = {
    "port": "SMARTFLOW_PORT",
    "host": "SMARTFLOW_HOST",
    "var": "SMARTFLOW_VAR",
    "workers": "SMARTFLOW_WORKERS",
}


def main(argv: list[str]) -> int:
    """Run a command; a fault is one sentence on stderr and an exit code, never a traceback."""
    options = _parser().parse_args(argv)
    _to_environment(options)
    try:
        return _up() if options.command == "up" else _serve(options)
    except EnvError as fault:
        exit_with(fault)
    except Fault as fault:
        return _refuse(str(fault))
    except OSError as fault:
        name = f": {fault.filename}" if fault.filename else ""
        return _refuse(f"{fault.strerror or fault}{name}.")


def _up() -> int:
    # Only here: a server process has no use for the supervisor and its stores.
    from smartflow_site.up import up

    return asyncio.run(up(load(running_stores=False)))


def _serve(options: argparse.Namespace) -> int:
    env = load()
    from smartflow_site.serve import HTTP_ROLES, serve

    wanted = env.workers if "SMARTFLOW_WORKERS" in os.environ else 1
    if options.fd is None and env.service_type in HTTP_ROLES and wanted > 1:
        from smartflow_site.several import serve_several

        return asyncio.run(serve_several(env))
    return serve(env, fd=options.fd, with_beat=options.with_beat)


def _refuse(sentence: str) -> int:
    print(f"smartflow: {sentence}", file=sys.stderr)
    return 1


def _to_environment(options: argparse.Namespace) -> None:
    """Flags are settings typed at the command line: one place reads and checks them all."""
    for flag, name in _FLAGS.items():
        if getattr(options, flag, None) is not None:
            os.environ[name] = getattr(options, flag)
    if getattr(options, "role", None):
        os.environ["SERVICE_TYPE"] = options.role


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything on this machine, with embedded stores")
    serve = commands.add_parser("serve", help="run one role in the foreground")
    for command in (up, serve):
        for flag, name in _FLAGS.items():
            command.add_argument(f"--{flag}", help=f"same as {name}")
    serve.add_argument("--role", choices=[*ROLES, "compliance_api_server"], help="same as SERVICE_TYPE")
    serve.add_argument("--fd", type=int, help="an inherited listening socket")
    serve.add_argument(
        "--with-beat", action="store_true", help="role worker: hand out tasks by the timetable too"
    )
    return parser
