"""Child processes that do not outlive their parent: each in a session of its own, ended in order, else killed."""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1  # prctl(2): what the kernel sends to a child when its parent dies
_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def start(
    *command: str,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    talks: bool = False,
    log: IO[bytes] | None = None,
) -> asyncio.subprocess.Process:
    """Start a program; `talks` opens pipes to it, else its output goes to `log` (None: nowhere).

    It gets no Ctrl-C of the terminal: whoever starts it ends it.
    """
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=pipe if talks else null,
        stdout=pipe if talks else (log or null),
        stderr=log or null,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )


async def end(process: asyncio.subprocess.Process, seconds: float) -> int:
    """Ask a process to end, kill it after some time with all that it started; return its exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(process.wait(), seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return await process.wait()
