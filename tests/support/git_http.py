"""A real git server on loopback: nginx, fcgiwrap and git's own http-backend.

`/public/` is open, `/private/` asks for a password, `/old/` speaks the first protocol
(and hands out no commit that no branch has); `/page/` answers with a web page, `/moved/`
redirects, `/broken/` answers 500. Each shows the same repositories.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from git_work import commit, git, replace_files

CGI = "/usr/lib/git-core/git-http-backend"
MISSING = [p for p in ("git", "nginx", "fcgiwrap") if not shutil.which(p)]

_LOCATION = """
location /{prefix}/ {{
  {auth}
  fastcgi_pass unix:{root}/cgi.sock;
  fastcgi_param SCRIPT_FILENAME {cgi};
  fastcgi_param GIT_PROJECT_ROOT {root}/repositories;
  fastcgi_param GIT_HTTP_EXPORT_ALL 1;
  fastcgi_param PATH_INFO $rest;
  fastcgi_param QUERY_STRING $query_string;
  fastcgi_param REQUEST_METHOD $request_method;
  fastcgi_param CONTENT_TYPE $content_type;
  fastcgi_param CONTENT_LENGTH $content_length;
  fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
  fastcgi_param REMOTE_USER $remote_user;
  {protocol}
}}
"""
_CONFIGURATION = """
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log;
events {{}}
http {{
  access_log {root}/access.log; client_max_body_size 0;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
  fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  map $uri $rest {{ ~^/[a-z]+(?<path>/.*)$ $path; }}
  server {{
    listen 127.0.0.1:{port};
    {locations}
    location /page/ {{ default_type text/html; return 200 "<html>Log in</html>"; }}
    location ~ ^/moved(/.*)$ {{ return 301 /public$1$is_args$args; }}
    location /broken/ {{ return 500; }}
  }}
}}
"""


class GitServer:
    """Serves the bare repositories that `create` and `publish` make.

    Attributes:
        username: For `/private/`.
        password: For `/private/`.
        port: Free one of 127.0.0.1.
    """

    username = "ci"
    password = "correct horse battery"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repositories = root / "repositories"
        self.port = free_port()
        self._programs = ExitStack()

    def __enter__(self) -> Self:
        self.repositories.mkdir(parents=True)
        password = f"{self.username}:{{PLAIN}}{self.password}\n"
        (self.root / "htpasswd").write_text(password)
        configuration = self.root / "nginx.conf"
        configuration.write_text(self._configuration())
        cgi = f"unix:{self.root}/cgi.sock"
        with ExitStack() as programs:
            programs.enter_context(running(["fcgiwrap", "-f", "-c", "4", "-s", cgi]))
            wait_until((self.root / "cgi.sock").exists)
            nginx = ["nginx", "-p", str(self.root), "-c", str(configuration)]
            programs.enter_context(running(nginx))
            wait_until(lambda: listening(self.port))
            self._programs = programs.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._programs.close()

    def url(self, name: str, place: str = "public") -> str:
        """Address of a repository: in `public`, `private`, `old` and so on."""
        return f"http://127.0.0.1:{self.port}/{place}/{name}.git"

    def create(self, name: str) -> Path:
        """Make an empty bare repository, which may be pushed to, by path or by URL."""
        path = self.repositories / f"{name}.git"
        git(self.root, "init", "--quiet", "--bare", "--initial-branch=main", str(path))
        git(path, "config", "http.receivepack", "true")
        return path

    def publish(self, folder: Path, name: str | None = None) -> str:
        """Push the files of a folder as one commit; return the public URL.

        Called again with the same name it pushes a further commit.
        """
        name = name or folder.name
        bare = self.repositories / f"{name}.git"
        clone = self.root / "clones" / name
        if not clone.exists():
            self.create(name)
            git(self.root, "clone", "--quiet", str(bare), str(clone))
        replace_files(folder, clone)
        commit(clone, f"Publish {name}")
        git(clone, "push", "--quiet", "origin", "HEAD:main")
        return self.url(name)

    def _configuration(self) -> str:
        auth = f'auth_basic "git"; auth_basic_user_file {self.root}/htpasswd;'
        protocol = "fastcgi_param GIT_PROTOCOL $http_git_protocol;"
        places = {
            "public": ("", protocol),
            "private": (auth, protocol),
            "old": ("", "fastcgi_pass_request_headers off;"),
        }
        locations = "".join(
            _LOCATION.format(
                prefix=place, auth=auth, protocol=protocol, cgi=CGI, root=self.root
            )
            for place, (auth, protocol) in places.items()
        )
        return _CONFIGURATION.format(
            root=self.root, port=self.port, locations=locations
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(ready: Callable[[], bool], *, seconds: float = 10) -> None:
    """Look again and again until `ready` says so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.02)


@contextmanager
def running(argv: Sequence[str]) -> Iterator[int]:
    """Run a program with all that it starts; yield its process id."""
    process = subprocess.Popen(
        argv,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        # The children of fcgiwrap outlive it, so the whole group is ended.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
