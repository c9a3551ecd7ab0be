# SPDX-License-Identifier: Apache-2.0
"""Several server processes of one role behind one port, without stores: a pod with more than one core."""

import sys
from os import environ

from smartflow_site import ports
from smartflow_site.children import Spec
from smartflow_site.env import ROOT, Env
from smartflow_site.process import Command
from smartflow_site.supervisor import Stopped, Supervisor


async def serve_several(env: Env) -> int:
    """Run the role's processes on one inherited socket until a signal comes; the exit code."""
    supervisor = Supervisor(env.var, pids=env.var / "run" / f"{env.service_type}-{env.port}")
    supervisor.listen_to_signals()
    listening = ports.bind(env.host, env.port)
    ports.listen(listening)
    argv = (
        sys.executable,
        str(ROOT / "manage.py"),
        "serve",
        "--role",
        env.service_type,
        "--fd",
        str(listening.fileno()),
    )
    log = env.var / "log" / f"{env.service_type}.log"
    command = Command(argv=argv, env=dict(environ), log=log, cwd=ROOT, pass_fds=(listening.fileno(),))
    seconds = env.drain_wait_s + env.drain_deadline_s + 5
    names = [f"{env.service_type}-{number + 1}" for number in range(env.workers)]
    try:
        await supervisor.start(
            *(Spec(name=name, command=lambda: command, stop_stage=0, stop_seconds=seconds) for name in names)
        )
        await supervisor.wait()
    except Stopped:
        pass
    finally:
        listening.close()
        code = await supervisor.shut_down()
    return code
