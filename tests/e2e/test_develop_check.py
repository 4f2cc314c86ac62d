"""The main job in a real Home Assistant, as `scripts/develop --check` runs it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from .processes import naming

ROOT = Path(__file__).parents[2]


async def check(folder: Path) -> asyncio.subprocess.Process:
    """Start the check with its temporary files in a folder of the test."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    environment = {**os.environ, "TMPDIR": str(folder)}
    return await asyncio.create_subprocess_exec(
        ROOT / "scripts" / "develop", "--check", cwd=ROOT, env=environment, stdin=null, stdout=pipe, stderr=pipe
    )


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
        "by its public key, once compared; light.",
        "by its certificate of a CA; sensor.",
        "the server listens without security",
        "without security; binary_sensor.",
        "are unavailable",
        "they are available",
        "all stopped",
    ):
        assert words in seen
    assert not naming(tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.timeout(120)
async def test_stopped_half_way_it_leaves_nothing(tmp_path: Path) -> None:
    process = await check(tmp_path)
    assert process.stdout is not None
    assert b"Home Assistant runs" in await process.stdout.readline()
    assert naming(tmp_path)
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode != 0
    assert not naming(tmp_path)
    assert not any(tmp_path.iterdir())
