"""The main job in a real Home Assistant, as `scripts/develop --check` runs it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


async def check(folder: Path) -> asyncio.subprocess.Process:
    """Start the check with its temporary files in a folder of the test."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    environment = {**os.environ, "TMPDIR": str(folder)}
    return await asyncio.create_subprocess_exec(
        ROOT / "scripts" / "develop", "--check", cwd=ROOT, env=environment, stdin=null, stdout=pipe, stderr=pipe
    )


def left_over(folder: Path) -> list[str]:
    """Return what is still there of a check: files, and command lines of processes that name the folder."""
    found = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.timeout(240)
async def test_every_step_is_seen(tmp_path: Path) -> None:
    process = await check(tmp_path)
    output, errors = await process.communicate()
    seen = output.decode()
    assert process.returncode == 0, seen + errors.decode()
    for words in (
        "appears as a discovered flow",
        "the wrong key is named as wrong",
        "the right key is proven",
        "is created",
        "has the device's value",
        "follows to",
        "the device says so",
        "are unavailable",
        "they are available",
        "all stopped",
    ):
        assert words in seen
    assert not left_over(tmp_path)


@pytest.mark.timeout(120)
async def test_stopped_half_way_it_leaves_nothing(tmp_path: Path) -> None:
    process = await check(tmp_path)
    assert process.stdout is not None
    assert b"Home Assistant runs" in await process.stdout.readline()
    assert left_over(tmp_path)
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode != 0
    assert not left_over(tmp_path)
