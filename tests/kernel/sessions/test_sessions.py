"""Sessions in the kernel: there again after a restart, paced by a sole person, ended with what they belong to."""

import asyncio
from pathlib import Path

import httpx
import pytest

from nexus.kernel.kernel import Kernel
from nexus.kernel.sessions.driver import Audience, GivenInput
from nexus.kernel.sessions.input import SessionInputs
from nexus.schemas.errors import ContextMissing, OutcomeUnknown, ResourceUnavailable, SessionGap, ValidationError
from nexus.schemas.protocol import AttachSession, CreateSession, RestartSession
from nexus.schemas.session import NewSession, Restart, SessionContext, SessionInput
from nexus.sessions.client import SessionClient
from nexus.sessions.local import LocalTransport
from nexus.sessions.types import SessionType
from tests.kernel.sessions.logs import eventually
from tests.sessions.echo import ECHO, Echo
from tests.sessions.servers import echo_kernel


def client_of(kernel: Kernel) -> SessionClient:
    return SessionClient(LocalTransport(kernel.sessions))


async def new_echo(client: SessionClient, **more) -> str:
    return (await client.create(NewSession(type="echo", **more))).session_id


async def test_a_session_is_taken_up_by_the_next_kernel(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        session_id = await new_echo(client_of(kernel), options={"note": "kept"})
        await client_of(kernel).send(session_id, b"before")
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        attachment = await client.attach(session_id, epoch=1, after=0)
        await client.send(session_id, b"after")
        lines = b""
        while lines.count(b"\n") < 3:
            lines += (await asyncio.wait_for(attachment.receive(), 5)).lines
        assert [word in line for word, line in zip((b"before", b"taken up", b"after"), lines.splitlines(), strict=True)]
        assert (await client.view(session_id)).metadata == {"note": "kept"}
        await attachment.aclose()


async def test_input_that_the_last_kernel_applied_is_not_applied_again(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        session_id = await new_echo(client_of(kernel))
        for number in (1, 2):
            await client_of(kernel).send_input(session_id, SessionInput.of("me", number, b"x"))
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        assert (await client.send_input(session_id, SessionInput.of("me", 2, b"x"))).repeated
        assert not (await client.send_input(session_id, SessionInput.of("me", 3, b"x"))).repeated
        with pytest.raises(SessionGap):
            await client.send_input(session_id, SessionInput.of("me", 9, b"x"))


async def test_input_that_was_begun_when_the_kernel_died_is_of_unknown_outcome(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        session_id = await new_echo(client_of(kernel))
        log = kernel.sessions.log
        key = (await log.stream(session_id)).key
        given = GivenInput("me", 1, b"x")

        async def die(given: GivenInput) -> bool:
            raise SystemError("the process ends here")

        with pytest.raises(SystemError):
            await SessionInputs(log, key, durable=True).take(given, die)

        async def applied(given: GivenInput) -> bool:
            return True

        next_kernels = SessionInputs(log, key, durable=True)
        with pytest.raises(OutcomeUnknown):
            await next_kernels.take(given, applied)
        assert not (await next_kernels.take(GivenInput("me", 2, b"y"), applied)).repeated


async def test_a_create_that_comes_again_makes_no_second_session(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        command = CreateSession(id="create-1", session=NewSession(type="echo"))
        first = await kernel.sessions.request(command)
        again = await kernel.sessions.request(command)
        assert first.session.session_id == again.session.session_id
        assert len((await client_of(kernel).list()).items) == 1


async def test_a_session_that_cannot_start_is_not_there(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        with pytest.raises(OSError, match="asked to fail"):
            await new_echo(client_of(kernel), options={"fails": True})
        assert (await client_of(kernel).list()).items == []
        assert kernel.sessions.live == {}


async def test_a_driver_learns_who_reads_and_what_a_sole_person_has_seen(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        session_id = await new_echo(client)
        driver = kernel.sessions.live[session_id].driver
        assert isinstance(driver, Echo)
        person = await client.attach(session_id, interactive=True)
        await client.send(session_id, b"hello")
        batch = await person.receive()
        await person.consumed(batch.last)
        other = await client.attach(session_id)
        await other.aclose()
        await person.aclose()
        assert driver.audiences == [
            Audience(1, sole=0),
            Audience(1, sole=1),
            Audience(2),
            Audience(1, sole=1),
            Audience(0),
        ]


async def test_a_window_holds_lines_back_until_they_are_consumed(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        session_id = await new_echo(client)
        await client.send(session_id, b"print 1000")
        channel = await kernel.sessions.attach(AttachSession(id="a", session_id=session_id, window=4096))
        first = await channel.receive()
        assert len(first.lines) <= 4096
        waiting = asyncio.create_task(channel.receive())
        done, _ = await asyncio.wait((waiting,), timeout=0.1)
        assert not done
        await channel.consumed(first.last)
        assert (await asyncio.wait_for(waiting, 5)).first == first.last + 1
        await channel.aclose()


async def test_sessions_end_with_their_project(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            project = (await api.post("/api/projects", json={"name": "demo"})).json()["id"]
            theirs = await new_echo(client, context=SessionContext(project_id=project))
            others = await new_echo(client)
            assert (await api.delete(f"/api/projects/{project}")).status_code == 200
        attachment = await client.attach(theirs)
        assert b'"reason":"project-deleted"' in (await attachment.receive()).lines
        assert (await client.view(others)).status == "active"


async def test_a_type_says_what_it_needs(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        with pytest.raises(ContextMissing):
            await client.create(NewSession(type="terminal"))
        with pytest.raises(ResourceUnavailable):
            await client.create(NewSession(type="agent-run", context=SessionContext(run_id="run_1")))
        kernel.sessions.types.add(SessionType("shy", ECHO.capabilities, transports=("local",)))
        with pytest.raises(ValidationError, match="cannot be reached by hybrid"):
            await client.create(NewSession(type="shy"))


async def test_an_expired_session_is_made_again_where_its_type_allows_that(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        kernel.sessions.types.add(SessionType("lasting", ECHO.capabilities, renewed=True))
        kernel.sessions.drivers.add("lasting", Echo)
        session = await client.create(NewSession(type="lasting", expires_seconds=0.1))
        await asyncio.sleep(0.15)
        await asyncio.gather(*[client.send(session.session_id, b"again") for _ in range(5)])
        view = await client.view(session.session_id)
        assert (view.status, view.epoch, view.newest) == ("active", 2, 5)
        assert view.expires_at > session.expires_at
        first = await client.attach(session.session_id, epoch=1, after=0)
        assert b'"reason":"expired"' in (await first.receive()).lines


async def test_restarts_at_once_restart_once(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        session_id = await new_echo(client)
        restart = [RestartSession(id=f"r{n}", session_id=session_id, restart=Restart(epoch=1)) for n in range(5)]
        views = await asyncio.gather(*[kernel.sessions.request(each) for each in restart])
        assert {view.session.epoch for view in views} == {2}


async def test_a_driver_that_does_not_close_is_ended_for_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("nexus.kernel.sessions.lives.CLOSE_SECONDS", 0.2)

    async def hang(self, reason: str) -> None:
        await asyncio.Event().wait()

    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        session_id = await new_echo(client)
        monkeypatch.setattr(Echo, "close", hang)
        assert (await client.close(session_id)).status == "closed"
        await eventually(lambda: session_id not in kernel.sessions.live)


async def test_input_whose_sender_leaves_is_applied_to_its_end_and_once(tmp_path: Path):
    async with echo_kernel(tmp_path) as kernel:
        client = client_of(kernel)
        session_id = await new_echo(client)
        given = SessionInput.of("me", 1, b"once")
        for _ in range(3):
            sending = asyncio.create_task(kernel.sessions.send(session_id, given))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert (await kernel.sessions.send(session_id, given)).repeated
        assert (await client.view(session_id)).newest == 1
