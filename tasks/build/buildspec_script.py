"""Writes the shell program that carries out the phases of a buildspec.

The commands of a build share one shell. A command may end that shell (`exit 1`, `set
-e`, a syntax error), and the phases go on all the same. So an outer program starts the
shell again behind that command, with the variables and the folder it had.
What happened is kept in files, since a command may also close or redirect its output.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from prefect_delivery.buildspec.models import Buildspec, Phase

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

HASH_FILES = """\
set -f; IFS='
'
for pattern; do codebuild-glob-search "$pattern"; done | LC_ALL=C sort -u | {
  while IFS= read -r file; do sha256sum < "$file" || exit 1; done
} | sha256sum | cut -d ' ' -f 1
"""
GLOB_SEARCH = """\
shopt -s globstar nullglob dotglob
IFS=
for pattern; do
  for path in $pattern; do [ ! -f "$path" ] || printf '%s\\n' "$path"; done
done
"""
TESTS_RUN = """\
command= search=
while [ $# -gt 0 ]; do
  case $1 in
    --test-command) command=$2; shift 2 ;;
    --files-search) search=$2; shift 2 ;;
    --sharding-strategy) shift 2 ;;
    *) echo "codebuild-tests-run: unknown option $1" >&2; exit 2 ;;
  esac
done
[ -n "$command" ] || { echo 'codebuild-tests-run: --test-command?' >&2; exit 2; }
[ -n "$search" ] || { echo 'codebuild-tests-run: --files-search?' >&2; exit 2; }
IFS='
'
set -f
number=0
found=$(eval "$search") || exit
files=
for file in $(printf '%s\\n' "$found" | LC_ALL=C sort); do
  if [ $((number % ${DELIVERY_SHARDS:-1})) -eq "${DELIVERY_SHARD:-0}" ]; then
    files="$files$file
"
  fi
  number=$((number + 1))
done
set -- $files
[ $# -gt 0 ] || { echo 'no test file falls to this build'; exit 0; }
unset IFS
set +f
CODEBUILD_CURRENT_SHARD_FILES=$files
export CODEBUILD_CURRENT_SHARD_FILES
eval "$command "'"$@"'
"""
_TOOLS = {
    "codebuild-hash-files": ("/bin/sh", HASH_FILES),
    "codebuild-glob-search": ("/usr/bin/env bash", GLOB_SEARCH),
    "codebuild-tests-run": ("/bin/sh", TESTS_RUN),
}


class Program:
    """The programs of one build, and what they left.

    Attributes:
        commands: Each command by its number, with the phase it belongs to.
    """

    def __init__(
        self, folder: Path, buildspec: Buildspec, source: Path, token: str, shell: str
    ) -> None:
        self._folder = folder
        self._buildspec = buildspec
        self._source = source
        self._token = token
        self._shell = shell
        self._number = 0
        self.commands: dict[int, tuple[Phase, str]] = {}

    def write(self, names: Sequence[str | None]) -> Path:
        """Write the programs and return the outer one.

        Args:
            names: Names of artifacts, in which the shell fills in what `$` stands for.
        """
        for part in ("bin", "exported", "names"):
            (self._folder / part).mkdir()
        for name, (interpreter, text) in _TOOLS.items():
            tool = self._folder / "bin" / name
            tool.write_text(f"#!{interpreter}\n{text}")
            tool.chmod(0o755)
        # They are there before any user comes who may write but not make them.
        for name in ("at", "journal", "environment", "folder", "user"):
            (self._folder / name).touch()
        (self._folder / "at").write_text("0\n")
        for number, wanted in enumerate(names):
            if wanted:
                text = wanted.replace("\\", "\\\\").replace('"', '\\"')
                self._file(f"name{number}", f'printf %s "{text}"\n')
        steps = "".join(self._steps())
        self._file("inner", self._preamble() + steps + self._end(names))
        return self._file("outer", self._outer())

    def _steps(self) -> Iterator[str]:
        for phase in self._buildspec.phases:
            yield from self._phase(phase)

    def _phase(self, phase: Phase) -> Iterator[str]:
        user = shlex.quote(phase.user or "")
        yield self._step(f"! cb_has stop && cb_begin {phase.name} {user}", "")
        began = f"cb_has began-{phase.name}"
        for kind, commands in (("main", phase.commands), ("last", phase.last)):
            for command in commands:
                going = f"{began} && ! cb_has skip-{phase.name}-{kind}"
                number = self._number + 1
                self.commands[number] = (phase, command)
                self._file(f"c{number}", command + "\n")
                yield self._step(
                    f"{going} && cb_show {number}",
                    f"{self._run(number)}; cb_after {number} $? {phase.name} {kind}",
                )
        yield self._step(began, f"cb_end {phase.name} {_stops(phase)}")

    def _step(self, condition: str, work: str) -> str:
        self._number += 1
        body = work or ":"
        return f"if cb_from {self._number} && {condition}; then\n{body}\nfi\n"

    def _run(self, number: int) -> str:
        path = shlex.quote(str(self._folder / f"c{number}"))
        if self._buildspec.version == "0.1":
            place = shlex.quote(str(self._source))
            return f"( cd {place} && exec {self._shell} {path} )"
        return f". {path}"

    def _preamble(self) -> str:
        d = shlex.quote(str(self._folder))
        died = "".join(
            f'    {number}) cb_after {number} "$1" {phase.name} {self._kind(number)} ;;\n'
            for number, (phase, _) in self.commands.items()
        )
        return f"""\
cb_has() {{ [ -e {d}/"$1" ]; }}
cb_set() {{ : >| {d}/"$1"; }}
cb_say() {{ printf '%s\\n' "{self._token} $*"; }}
cb_note() {{ printf '%s\\n' "$*" >> {d}/journal; }}
cb_from() {{
  [ "$1" -gt "$cb_at" ] || return 1
  cb_at=$1
}}
cb_begin() {{
  read -r cb_user < {d}/user || cb_user=
  if [ "$2" != "$cb_user" ]; then
    printf '%s\\n' "$2" >| {d}/user
    exit
  fi
  printf '%s\\n' "$cb_at" >| {d}/at
  cb_set "began-$1"
  cb_say begin "$1"
}}
cb_show() {{
  printf '%s\\n' "$1" >| {d}/at
  cb_say run "$1"
}}
cb_after() {{
  [ "$2" -ne 0 ] || return 0
  cb_set "skip-$3-$4"
  cb_set "failed-$3"
  cb_note "failed $1 $2"
  cb_say failed "$1" "$2"
  CODEBUILD_BUILD_SUCCEEDING=0
  export CODEBUILD_BUILD_SUCCEEDING
}}
cb_end() {{
  printf '%s\\n' "$cb_at" >| {d}/at
  if cb_has "failed-$1"; then
    cb_note "end $1 FAILED"
    cb_say end "$1" FAILED
    [ "$2" = no ] || cb_set stop
  else
    cb_note "end $1 SUCCEEDED"
    cb_say end "$1" SUCCEEDED
  fi
}}
cb_leave() {{
  if [ -n "${{BASH_VERSION-}}" ]; then declare -p; declare -f; else export -p; set; fi \
    >| {d}/environment
  pwd >| {d}/folder
}}
if [ -n "$1" ]; then
  # Some variables belong to the shell itself, which says so.
  cb_kept_home=$HOME cb_kept_user=${{USER-}}
  . {d}/environment 2>/dev/null
  [ "$1" != handover ] || HOME=$cb_kept_home USER=$cb_kept_user
  read -r cb_at < {d}/at
  if read -r cb_folder < {d}/folder; then cd "$cb_folder" || :; fi
  [ "$1" = handover ] || case $cb_at in
{died}  esac
else
  cb_at=0
  PATH={d}/bin:$PATH
  export PATH
fi
trap cb_leave EXIT
"""

    def _kind(self, number: int) -> str:
        phase, _ = self.commands[number]
        own = [one for one, (other, _) in self.commands.items() if other is phase]
        return "main" if own.index(number) < len(phase.commands) else "last"

    def _end(self, names: Sequence[str | None]) -> str:
        d = shlex.quote(str(self._folder))
        exported = "".join(
            f'[ -z "${{{name}+x}}" ] || printf %s "${name}" >| {d}/exported/{name}\n'
            for name in self._buildspec.env.exported
            if _IDENTIFIER.fullmatch(name)
        )
        named = "".join(
            f"( . {d}/name{number} ) >| {d}/names/{number}\n"
            for number, name in enumerate(names)
            if name
        )
        return (
            f"set +eu\n{exported}{named}"
            f"env -0 >| {d}/final 2>/dev/null\ntrap - EXIT\ncb_set done\n"
        )

    def _outer(self) -> str:
        d = shlex.quote(str(self._folder))
        return f"""\
code= last=
while :; do
  read -r user < {d}/user || user=
  if [ -n "$user" ]; then
    su -s "$(command -v {self._shell})" "$user" -- {d}/inner "$code"
  else
    {self._shell} {d}/inner "$code"
  fi
  code=$?
  [ ! -e {d}/done ] || exit 0
  read -r at < {d}/at
  read -r next < {d}/user || next=
  if [ "$at:$next" = "$last" ]; then
    echo "{self._shell} cannot be run as '${{user:-this user}}'" >&2
    exit 97
  fi
  last=$at:$next
  [ "$next" = "$user" ] || code=handover
done
"""

    def _file(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text, errors="surrogateescape")
        return path


def _stops(phase: Phase) -> str:
    """Whether the phases after a failed one are left out."""
    match phase.on_failure.result:
        case "CONTINUE":
            return "no"
        case "DEFAULT" if phase.name == "build":
            return "no"
        case _:
            return "yes"
