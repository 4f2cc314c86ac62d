"""The command line as a person or a program meets it: a process, its lines, its end."""

from __future__ import annotations

import asyncio
import json
import signal
from io import StringIO
from typing import Any

import pytest

from custom_components.lwm2m.protocol.messages import Entry
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.protocol.value import ObjectLink
from custom_components.lwm2m.security.credential import SecurityMode
from custom_components.lwm2m.security.policy import Reason, Refusal
from custom_components.lwm2m.server import commands as commands_module
from custom_components.lwm2m.server.cli import main, parse_arguments, run
from custom_components.lwm2m.server.commands import Commands
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.events import Event, Expired, Notification, RefusedEvent, Registered, UnknownPeer
from custom_components.lwm2m.server.pending import Unknown
from custom_components.lwm2m.server.report import Report, common_path, format_address

from .command_line import Out, running, spawn, spawned
from .helpers import KEY, OTHER_KEY, PATIENCE, Bench, eventually, thermometer


async def test_a_session() -> None:
    async with running(
        "--coap-port", "0", "--psk", "thing", "thing-id", KEY.hex(), "--psk", "locked", "locked-id", OTHER_KEY.hex(),
        "--observe", "/3303/0/5700", "--observe", "/9999/0/1",
    ) as server:  # fmt: skip
        first = server.listening
        assert first["event"] == "listening"
        assert first["engine"].startswith("openssl")
        assert "TLS_PSK_WITH_AES_128_CCM_8" in first["suites"]
        assert first["coaps"] > 0
        model = thermometer()
        client = Bench.make(f"coaps://127.0.0.1:{first['coaps']}", "thing", model, identity="thing-id", key=KEY)
        async with client:
            registered = await server.until("registered")
            assert registered.pop("address").startswith("127.0.0.1:")
            assert registered.pop("location").startswith("/rd/")
            assert registered == {
                "event": "registered",
                "endpoint": "thing",
                "lwm2m": "1.1",
                "lifetime": 60,
                "binding": "U",
                "queue": False,
                "objects": {"/1/0": "1.1", "/3/0": "1.1", "/3303/0": "1.1"},
                "security": {"mode": "psk", "suite": "TLS_PSK_WITH_AES_128_CCM_8", "identity": "thing-id"},
            }
            values = {"/3303/0/5700": 21.5}
            expected = {"event": "notification", "endpoint": "thing", "path": "/3303/0/5700", "values": values}
            assert await server.until("notification") == expected
            client.set("/3303/0/5700", 22.0)
            assert (await server.until("notification"))["values"] == {"/3303/0/5700": 22.0}
            client.update()
            assert await server.until("updated") == {"event": "updated", "endpoint": "thing"}
            await client.send("/3303/0/5700", "/3303/0/5701")
            sent = await server.until("send")
            assert sent["path"] == "/3303/0"
            assert sent["values"] == {"/3303/0/5700": 22.0, "/3303/0/5701": "Cel"}

            assert await server.ask("read thing /3303/0/5700 text") == {
                "event": "response",
                "endpoint": "thing",
                "request": "read thing /3303/0/5700 text",
                "ok": True,
                "code": "2.05",
                "values": {"/3303/0/5700": 22.0},
            }
            assert (await server.ask("read thing /3/0/14 senml-json"))["values"] == {"/3/0/14": "+00:00"}
            assert (await server.ask("read thing /3/0/7 112"))["values"] == {"/3/0/7/0": 3000, "/3/0/7/1": 2900}
            assert (await server.ask("write thing /3/0/14 +02:00  x"))["code"] == "2.04"
            assert (await client.wait_for("written")).fields["value"] == "+02:00  x"
            assert (await server.ask('write thing /3303/0 {"5750": "Cellar"}'))["ok"]
            assert client.get("/3303/0/5750") == "Cellar"
            assert (await server.ask("execute thing /3/0/4 0='a b'"))["code"] == "2.04"
            assert (await client.wait_for("executed")).fields["arguments"] == "0='a b'"
            assert (await server.ask("attributes thing /3303/0/5700 pmin=1 gt=30"))["code"] == "2.04"
            discovered = await server.ask("discover thing /3303/0/5700")
            assert discovered["values"] == {"/3303/0/5700": {"pmin": "1", "gt": "30"}}
            assert (await server.ask("observe thing /3/0/7"))["values"] == {"/3/0/7/0": 3000, "/3/0/7/1": 2900}
            client.set("/3/0/7", {0: 2800})
            assert (await server.until("notification", path="/3/0/7"))["values"] == {"/3/0/7/0": 2800}
            assert (await server.ask("cancel thing /3/0/7"))["ok"]
            assert "not observed" in (await server.ask("cancel thing /3/0/7"))["error"]
            created = await server.ask('create thing /3303 {"5700": 1.5, "5750": "New"}')
            assert (created["code"], created["location"]) == ("2.01", "/3303/1")
            assert client.get("/3303/1/5750") == "New"
            created = await server.ask('create thing /3303/7 {"/3303/7/5700": 2.5}')
            assert created["location"] == "/3303/7"
            assert client.get("/3303/7/5700") == 2.5
            assert (await server.ask("delete thing /3303/1"))["code"] == "2.02"
            failed = await server.ask("read thing /3303/1")
            assert (failed["ok"], failed["code"], failed["error"]) == (False, "4.04", "4.04 Not Found")
        assert await server.until("deregistered") == {"event": "deregistered", "endpoint": "thing"}
        assert "not registered" in (await server.ask("read thing /3"))["error"]

        locked = Bench.make(f"coaps://127.0.0.1:{first['coaps']}", "locked", None, identity="locked-id", key=KEY)
        await locked.start()
        refused = await server.until("refused")
        await locked.stop()
        assert refused.pop("address").startswith("127.0.0.1:")
        assert refused.pop("detail")
        assert refused == {
            "event": "refused",
            "reason": "wrong_key",
            "identity": "locked-id",
            "endpoint": "locked",
            "offered": refused["offered"],
        }
        async with Bench.make(f"coap://127.0.0.1:{first['coap']}", "plain", None):
            plain = await server.until("registered")
            assert plain["security"] == {"mode": "nosec", "suite": None, "identity": None}
            await server.until("notification", endpoint="plain")
        await server.until("deregistered", endpoint="plain")


async def test_bad_lines() -> None:
    async with running("--coap-port", "0") as server:
        url = f"coap://127.0.0.1:{server.listening['coap']}"
        async with Bench.make(url, "d", None):
            await server.until("registered")
            for line, error in {
                "fly d /3": "unknown command",
                "read": "usage: read EP PATH [FORMAT]",
                "read d": "usage",
                "write d /3/0/14": "usage: write EP PATH VALUE",
                "delete d /3/0 now": "usage",
                "read d 3303//x": "not a path",
                "read d /3/0/0/0/0": "not a path",
                "read d /3/0 xml": "no content format",
                "read d /3/0 9999": "4.06",
                "read nobody /3": "nobody is not registered",
                "write d /3303/0/5700 warm": "not a number",
                "write d /3303/0 5750": "JSON object",
                "write d /3303/0 {": "no JSON",
                'write d /3303/0 {"/3304/0/5700": 1}': "no resource of /3303/0",
                'write d /3303/0 {"x": 1}': "not a path",
                'create d /3303/0/5700 {"1": 1}': "an object, or the instance",
                "attributes d /3303/0/5700 pmin=x": "pmin",
                "attributes d /3303/0/5700 warm=1": "warm",
                "cancel d /3303/0/5700": "not observed",
                "execute d /3303/0/5700": "4.05",
            }.items():
                answer = await server.ask(line)
                assert answer["ok"] is False
                assert error in answer["error"], answer
            server.say("", "   ")
            assert (await server.ask("read d /3/0/0"))["ok"]


async def test_order_and_independence() -> None:
    """Responses of one endpoint come in order; one that does not answer keeps nobody waiting, not even the end."""
    async with running("--coap-port", "0") as server:
        url = f"coap://127.0.0.1:{server.listening['coap']}"
        async with Bench.make(url, "quick", None) as quick, Bench.make(url, "silent", None) as silent:
            await quick.wait_for("registered")
            await silent.wait_for("registered")
            silent.transport.muted = True
            lines = ["read silent /3/0/0"]
            lines += [f"read quick /3303/0/{resource}" for resource in (5700, 1, 5701, 2, 5750)]
            lines += ["read quick x", "read quick /3/0/0"]
            server.say(*lines)
            for line in lines[1:]:
                assert (await server.until("response"))["request"] == line
            await silent.vanish()


async def test_notifications_go_on_after_a_new_registration() -> None:
    async with running("--coap-port", "0", "--observe", "/3303/0/5700") as server:
        url = f"coap://127.0.0.1:{server.listening['coap']}"
        async with Bench.make(url, "d", None) as client:
            await server.until("notification")
            await server.ask("observe d /3303/0/5701")
            await client.vanish()
            await client.start()
            await server.until("registered")
            seen = {(await server.until("notification"))["path"] for _ in range(2)}
            assert seen == {"/3303/0/5700", "/3303/0/5701"}


async def test_text_beyond_ascii() -> None:
    model = thermometer()
    model.objects[3][0][14].value = "\U0001f321"
    async with (
        running("--coap-port", "0") as server,
        Bench.make(f"coap://127.0.0.1:{server.listening['coap']}", "d", model) as client,
    ):
        await server.until("registered")
        assert (await server.ask("read d /3/0/14"))["values"] == {"/3/0/14": "\U0001f321"}
        assert (await server.ask("write d /3/0/14 \u00e4"))["ok"]
        assert client.get("/3/0/14") == "\u00e4"


def written(event: Event) -> dict[str, Any]:
    out = StringIO()
    Report(out, lambda: None)(event)
    line: dict[str, Any] = json.loads(out.getvalue())
    return line


def test_what_is_reported(bench_less: Device) -> None:
    entries = [Entry(Path((19, 0, 0, 0)), b"\x01\xff", 1700000000.5), Entry(Path((19, 0, 1)), ObjectLink(3, 0))]
    assert written(Expired(bench_less)) == {"event": "expired", "endpoint": "d"}
    assert written(Notification(bench_less, Path((19, 0)), entries)) == {
        "event": "notification",
        "endpoint": "d",
        "path": "/19/0",
        "values": {"/19/0/0/0": {"opaque": "01ff"}, "/19/0/1": "3:0"},
        "times": {"/19/0/0/0": 1700000000.5},
    }
    refusal = Refusal(Reason.SHA1, "why", None, None, ("TLS_PSK_WITH_AES_128_CBC_SHA",))
    assert written(RefusedEvent(("::1", 5), refusal)) == {
        "event": "refused",
        "address": "[::1]:5",
        "reason": "sha1",
        "detail": "why",
        "identity": None,
        "endpoint": None,
        "offered": ["TLS_PSK_WITH_AES_128_CBC_SHA"],
    }


def test_what_is_not_reported(bench_less: Device) -> None:
    out = StringIO()
    report = Report(out, lambda: None)
    report(Registered(bench_less, new=True))  # over again before it could be told
    report(UnknownPeer(Unknown(SecurityMode.PSK, "x", b"x", "127.0.0.1", 0.0)))
    assert not out.getvalue()


@pytest.fixture
def bench_less() -> Device:
    """A device of a server that does not run."""
    return Bench().server.device("d")


async def test_a_process() -> None:
    async with spawned("--coap-port", "0", "--observe", "/3303/0/5700") as (server, process):
        async with Bench.make(f"coap://127.0.0.1:{server.listening['coap']}", "d", None):
            await server.until("registered")
            await server.until("notification")
            assert (await server.ask("read d /3303/0/5700"))["ok"]
        await server.until("deregistered")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


async def test_the_end_of_input_is_not_the_end() -> None:
    async with spawned() as (server, process):
        assert server.listening["coap"] is None
        assert process.stdin is not None
        process.stdin.write(b"read x /3")
        process.stdin.close()
        assert (await server.until("response"))["request"] == "read x /3"


async def test_nobody_reads_any_more() -> None:
    process = await spawn()
    assert process.stdout is not None
    assert process.stdin is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]
    for _ in range(3):  # until it is closed indeed
        await asyncio.sleep(0)
    process.stdin.write(b"x\n")
    async with asyncio.timeout(PATIENCE):
        _, errors = await process.communicate()
    assert b"Traceback" not in errors


async def test_port_taken(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    out = Out()
    assert await run(parse_arguments(["--coaps-port", str(bench.server.coaps_port)]), -1, out) == 1
    assert out.lines.empty()
    assert "cannot start" in capsys.readouterr().err


async def test_too_many_commands(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_module, "_QUEUE_LIMIT", 2)
    answers: list[dict[str, object]] = []
    commands = Commands(bench.server, answers.append)
    for _ in range(4):
        commands.take_line("read nobody /3")
    await eventually(lambda: len(answers) == 4)
    errors = sorted(str(answer["error"]) for answer in answers)
    assert errors == ["nobody is not registered"] * 2 + ["too many commands wait for this endpoint"] * 2
    await commands.stop()


def test_a_failing_output_ends_the_server() -> None:
    class Closed(StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    broken: list[bool] = []
    Report(Closed(), lambda: broken.append(True)).write({"event": "x"})
    assert broken == [True]


def test_one_identity_of_two_endpoints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--psk", "a", "id", "00" * 16, "--psk", "b", "id", "00" * 16]) == 1
    assert "on file for a" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--psk", "a", "id", "xyz"],
        ["--psk", "a", "id", ""],
        ["--psk", "a", "id"],
        ["--coaps-port", "70000"],
        ["--coap-port", "x"],
        ["--observe", "x"],
        ["--unheard-of"],
    ],
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        parse_arguments(arguments)
    assert error.value.code == 2
    assert capsys.readouterr().err


def test_defaults() -> None:
    arguments = parse_arguments([])
    assert (arguments.host, arguments.coaps_port, arguments.coap_port) == ("127.0.0.1", 5684, None)


def test_addresses() -> None:
    assert format_address(("192.0.2.7", 5683)) == "192.0.2.7:5683"
    assert format_address(("2001:db8::7", 5683)) == "[2001:db8::7]:5683"


def test_common_path() -> None:
    def common(*paths: str) -> str:
        return str(common_path([Entry(Path.parse(path), 1) for path in paths]))

    assert common("/3303/0/5700") == "/3303/0/5700"
    assert common("/3303/0/5700", "/3303/1/5700") == "/3303"
    assert common("/3303/0/5700", "/3304/0/5700") == "/"
    assert common() == "/"
