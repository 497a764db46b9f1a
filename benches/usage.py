#!/usr/bin/env python3
"""Runs a command and prints "CPU_SECONDS PEAK_MB WALL_SECONDS": user and system time of it and of its children.

Usage: usage.py LOG COMMAND…   What the command prints goes to LOG. A command that fails is shown and ends this with 1.
"""
import os
import sys
import time

log, *command = sys.argv[1:]
start = time.monotonic()
pid = os.fork()
if pid == 0:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}")
        os._exit(127)
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - start
code = os.waitstatus_to_exitcode(status)
if code:
    with open(log, encoding="utf-8", errors="replace") as output:
        sys.stderr.write(f"{' '.join(command)}: exit code {code}\n{output.read()[-2000:]}\n")
    sys.exit(1)
print(f"{usage.ru_utime + usage.ru_stime:.3f} {usage.ru_maxrss / 1024:.1f} {wall:.3f}")
