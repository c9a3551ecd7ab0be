# SPDX-License-Identifier: Apache-2.0
"""nginx from the system, where it is installed: as the JSON upstream, and as the proxy that ours is held against."""

import shutil
import subprocess
from pathlib import Path

from bench import traffic
from tests.upstreams.answers import Asked, whole
from tests.upstreams.script import Script


def binary() -> str | None:
    """Where nginx is, if it is."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def version() -> str:
    """What nginx calls itself, for the report."""
    found = binary()
    if found is None:
        return ""
    said = subprocess.run([found, "-v"], capture_output=True, text=True, check=False).stderr
    return said.strip().rpartition("/")[2]


def command(folder: Path, name: str, server: str) -> list[str]:
    """The argv of an nginx in the foreground with one worker; `server` is the inside of its http block."""
    own = folder / name
    own.mkdir(mode=0o755)
    config = own / "nginx.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {own}/pid; error_log {own}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
  client_body_temp_path {own}/body; proxy_temp_path {own}/proxy; fastcgi_temp_path {own}/f;
  uwsgi_temp_path {own}/u; scgi_temp_path {own}/s; default_type application/json;
{server}
}}
"""
    )
    found = binary()
    assert found is not None
    # A worker that drops to another user could not enter a private folder.
    user = ["-g", "user root;"] if own.owner() == "root" else []
    return [found, "-p", str(own), "-c", str(config), "-e", str(own / "error.log"), *user]


def upstream(port: int) -> str:
    """A server that answers every request with the JSON answer of the bench."""
    asked = Asked(traffic.body(traffic.JSON, traffic.JSON.model))
    answer = whole(Script(), asked, traffic.JSON.text).decode()
    quoted = answer.replace("\\", "\\\\").replace("'", "\\'")
    return f"  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ return 200 '{quoted}'; }} }}"


def proxy(port: int, json_port: int, sse_port: int) -> str:
    """A proxy with pooled connections: /v1 to the JSON upstream, /sse/v1 to the streaming one, unbuffered."""
    return f"""  upstream json {{ server 127.0.0.1:{json_port}; keepalive 256; keepalive_requests 100000000; }}
  upstream sse {{ server 127.0.0.1:{sse_port}; keepalive 256; keepalive_requests 100000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location /v1/ {{ proxy_pass http://json; }}
    location /sse/ {{ proxy_pass http://sse/; }}
  }}"""
