"""Exit codes: what a script learns from a command."""

OK = 0
FAILED = 1
USAGE = 2
"""The command or the definition is wrong, or `plan --against` found differences."""
STOPPED = 3
"""Stopped, superseded or rejected."""
WAITING = 5
"""A decision is missing."""
TIMEOUT = 124
"""As of timeout(1)."""
INTERRUPTED = 130
"""As of a shell: 128 and SIGINT."""
