"""Becomes another program, which the kernel kills when our parent dies.

Run as `launch.py <parent's pid> <uid> <gid> <program> <argument>…`. It is a program and not a
function between fork and exec, because that is unsafe in a process that has threads. Only Linux
knows the signal of the parent's death; elsewhere an orderly stop has to do.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Take the account, tie ourselves to the parent, and become the program."""
    parent, uid, gid = (int(argument) for argument in sys.argv[1:4])
    command = sys.argv[4:]
    if uid != os.getuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with(parent)  # After setuid, which forgets it.
    os.execvp(command[0], command)


def die_with(parent: int) -> None:
    """Ask the kernel to kill us when our parent dies; exits if it has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent has gone")


if __name__ == "__main__":
    main()
