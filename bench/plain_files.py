"""nginx as a plain file server: PUT and GET of files in its data folder, one worker, sendfile on."""

import os
import shutil
from pathlib import Path

from bench.server import Recipe

_CONFIG = """
worker_processes 1;
daemon off;
pid {data}/nginx.pid;
error_log {data}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 0;
    client_body_temp_path {data}/body;
    proxy_temp_path {data}/proxy;
    fastcgi_temp_path {data}/fastcgi;
    uwsgi_temp_path {data}/uwsgi;
    scgi_temp_path {data}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {data}/files;
        location = /health/ready {{ return 200 "ready"; }}
        location / {{ {dav} }}
    }}
}}
"""


def find_nginx() -> str | None:
    """Where nginx is; None where it is not installed."""
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def nginx(*, dav: bool) -> Recipe:
    """nginx on a folder; `dav` says whether it takes PUT (not every build can)."""

    def command(port: int, data: Path) -> list[str]:
        (data / "files").mkdir(exist_ok=True)
        data.chmod(0o755)
        config = data / "nginx.conf"
        config.write_text(_CONFIG.format(data=data, port=port, dav="dav_methods PUT;" if dav else ""))
        return [find_nginx() or "nginx", "-c", str(config), "-p", str(data), "-g", "user root;" if _is_root() else ""]

    return Recipe("nginx", command, lambda _data, _models: {})


def _is_root() -> bool:
    return os.geteuid() == 0
