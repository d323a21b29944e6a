"""Install the programs that the tests start for real, where this machine lets us.

Run by `make test`, and by `make demo` for `haproxy` alone. Without root or apt it only says what is missing; the tests that need
it then skip and print why. With `CI` set, a missing program is an error.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "chromium": ["chromium"],
    "docker-compose": ["docker-compose"],
    "docker-registry": ["docker-registry"],
    "dockerd": ["docker.io", "iptables"],
    "faketime": ["faketime"],
    "fcgiwrap": ["fcgiwrap"],
    "git": ["git"],
    "git-lfs": ["git-lfs"],
    "haproxy": ["haproxy"],
    "nginx": ["nginx-light"],
    "node": ["nodejs", "npm"],
    "postgres": ["postgresql"],
    "prometheus": ["prometheus"],
    "redis-server": ["redis-server"],
    "sshd": ["openssh-server"],
    "strace": ["strace"],
}
FOLDERS = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def missing(wanted: list[str]) -> list[str]:
    """Those of the wanted programs that are not on this machine."""
    servers = list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return [
        program
        for program in wanted
        if not shutil.which(program, path=FOLDERS)
        and not (program == "postgres" and servers)
    ]


def install(programs: list[str]) -> None:
    """Install Debian's packages for `programs`."""
    packages = [package for program in programs for package in PROGRAMS[program]]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    subprocess.run([*apt, "update"], check=True, env=quiet)
    command = [*apt, "install", "-y", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)


def main() -> int:
    wanted = sys.argv[1:] or list(PROGRAMS)
    programs = missing(wanted)
    if programs and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {', '.join(programs)}", flush=True)
        install(programs)
        programs = missing(wanted)
    if programs:
        print(f"not on this machine, and done without: {', '.join(programs)}")
    return 1 if programs and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
