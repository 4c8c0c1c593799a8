"""Signing in and out of a real server: passwords, tokens that follow one another, keys, devices."""

import base64
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import jwt
import pytest
from sqlalchemy import select, update

from nexus.kernel.accounts import families
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.keys import Keys
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.account_tables import api_keys, token_families, users
from nexus.schemas.errors import ConfigInvalid
from tests.kernel.answers import answer, refusal
from tests.kernel.kept import everything_kept
from tests.kernel.server.running import PASSWORD, Running, running


async def test_the_set_up_token_opens_the_first_account_and_no_second(server: Running) -> None:
    new = {"name": "anna", "password": PASSWORD}
    anyone = server.client()
    refusal(await anyone.post("/api/auth/register", json=new), 403, "REGISTRATION_CLOSED")
    assert await server.kernel.accounts.wants_setup()
    server.kernel.accounts.doors.setup_token = "the token"
    refusal(
        await anyone.post("/api/auth/register", json={**new, "setupToken": "a guess"}), 401, "AUTHENTICATION_INVALID"
    )
    made = answer(await anyone.post("/api/auth/register", json={**new, "setupToken": "the token"}), 201)
    me = answer(await server.client(made["accessToken"]).get("/api/auth/me"))
    assert (me["name"], me["roles"], me["patterns"]) == ("anna", ["admin"], ["*"])
    again = {"name": "bert", "password": PASSWORD, "setupToken": "the token"}
    refusal(await anyone.post("/api/auth/register", json=again), 401, "AUTHENTICATION_INVALID")
    assert not await server.kernel.accounts.wants_setup()


async def test_registration_is_closed_unless_opened_and_grants_nothing(server: Running) -> None:
    server.kernel.accounts.doors.open = True
    made = answer(await server.client().post("/api/auth/register", json={"name": "carl", "password": PASSWORD}), 201)
    carl = server.client(made["accessToken"])
    refusal(await carl.get("/api/projects"), 403, "PERMISSION_DENIED")
    taken = await server.client().post("/api/auth/register", json={"name": "CARL", "password": PASSWORD})
    refusal(taken, 409, "RESOURCE_CONFLICT")


async def test_a_wrong_password_tells_no_more_than_a_wrong_name_and_costs_time(server: Running) -> None:
    await server.user("anna")
    anyone = server.client()
    wrong = [
        await anyone.post("/api/auth/login", json={"name": name, "password": "not this one"})
        for name in ("anna", "nobody", "anna", "nobody", "anna")
    ]
    told = [refusal(each, 401, "AUTHENTICATION_INVALID")["message"] for each in wrong]
    assert len(set(told)) == 1
    waits = await anyone.post("/api/auth/login", json={"name": "anna", "password": PASSWORD})
    assert refusal(waits, 429, "RATE_LIMITED")["details"]["retryAfterMs"] > 0
    assert int(waits.headers["retry-after"]) >= 1


async def test_a_refresh_token_is_good_once_and_a_used_one_ends_the_sign_in(server: Running) -> None:
    await server.user("anna")
    first = await server.login("anna")
    anyone = server.client()

    async def refresh(token: str) -> object:
        return await anyone.post("/api/auth/refresh", json={"refreshToken": token})

    second = answer(await refresh(first["refreshToken"]))  # type: ignore[arg-type]
    third = answer(await refresh(second["refreshToken"]))  # type: ignore[arg-type]
    assert len({each["refreshToken"] for each in (first, second, third)}) == 3
    refusal(await refresh(first["refreshToken"]), 401, "AUTHENTICATION_INVALID")  # type: ignore[arg-type]
    # Whoever holds the newest one is signed out too: one of the two stole it.
    refusal(await refresh(third["refreshToken"]), 401, "AUTHENTICATION_INVALID")  # type: ignore[arg-type]
    refusal(await server.client(third["accessToken"]).get("/api/projects"), 401, "AUTHENTICATION_INVALID")
    assert "REFRESH_TOKEN_REPLAYED" in await audit_of(server)


async def test_an_answer_that_was_lost_ends_no_sign_in(server: Running) -> None:
    await server.user("anna")
    first = await server.login("anna")
    anyone = server.client()
    lost = answer(await anyone.post("/api/auth/refresh", json={"refreshToken": first["refreshToken"]}))
    again = answer(await anyone.post("/api/auth/refresh", json={"refreshToken": first["refreshToken"]}))
    answer(await server.client(again["accessToken"]).get("/api/auth/me"))
    # Of two hands the one that has the token which was replaced is found out.
    stolen = await anyone.post("/api/auth/refresh", json={"refreshToken": lost["refreshToken"]})
    refusal(stolen, 401, "AUTHENTICATION_INVALID")

    late = await server.login("anna")
    answer(await anyone.post("/api/auth/refresh", json={"refreshToken": late["refreshToken"]}))
    family = families.family_of(late["refreshToken"])
    long_ago = update(token_families).where(token_families.c.id == family)
    await server.kernel._store.write(lambda c: c.execute(long_ago.values(rotated_at="2020-01-01T00:00:00.000000Z")))
    replayed = await anyone.post("/api/auth/refresh", json={"refreshToken": late["refreshToken"]})
    refusal(replayed, 401, "AUTHENTICATION_INVALID")


async def test_signing_out_ends_the_tokens_at_once(server: Running) -> None:
    await server.user("anna", "viewer")
    tokens, other = await server.login("anna"), await server.login("anna")
    anna = server.client(tokens["accessToken"])
    answer(await anna.get("/api/projects"))
    assert answer(await anna.post("/api/auth/logout"))["ended"] == 1
    refusal(await anna.get("/api/projects"), 401, "AUTHENTICATION_INVALID")
    refused = await anna.post(
        "/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]}, headers={"authorization": ""}
    )
    assert refused.status_code == 401
    answer(await server.client(other["accessToken"]).get("/api/projects"))
    by_token = {"refreshToken": other["refreshToken"]}
    assert answer(await server.client().post("/api/auth/logout", json=by_token))["ended"] == 1


async def test_what_is_kept_of_passwords_tokens_and_keys_gives_none_of_them_away(server: Running) -> None:
    anna = await server.signed_in("anna", "admin")
    key = answer(await anna.post("/api/auth/keys", json={"name": "ci"}), 201)
    tokens = await server.login("anna")
    kept = await everything_kept(server.kernel._store)
    for secret in (PASSWORD, key["key"].rpartition(".")[2], tokens["refreshToken"].rpartition(".")[2]):
        assert secret.encode() not in kept
    row = await server.kernel._store.read(lambda c: c.execute(select(users.c.password)).scalar_one())
    assert row.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_password_that_scrypt_hashed_is_taken_and_hashed_anew(server: Running) -> None:
    await server.user("anna")
    salt = b"0123456789abcdef"
    digest = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
    old = f"scrypt$16384$8$1${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
    await server.kernel._store.write(lambda c: c.execute(update(users).values(password=old)))
    await server.login("anna")
    now = await server.kernel._store.read(lambda c: c.execute(select(users.c.password)).scalar_one())
    assert now.startswith("$argon2id$")
    await server.login("anna")


async def test_a_key_does_what_its_scopes_and_its_user_may_and_ends_when_revoked(server: Running) -> None:
    anna = await server.signed_in("anna", patterns=["agent.project.*", "agent.roadmap.list"])
    wide = {"name": "wide", "scopes": ["agent.*"]}
    refusal(await anna.post("/api/auth/keys", json=wide), 403, "PERMISSION_DENIED")
    made = answer(await anna.post("/api/auth/keys", json={"name": "ci", "scopes": ["agent.project.list"]}), 201)
    program = server.client(made["key"])
    answer(await program.get("/api/projects"))
    bounded = await program.post("/api/projects", json={"name": "x"})
    refusal(bounded, 403, "PERMISSION_DENIED")
    assert "scopes leave it out" in bounded.json()["error"]["message"]
    me = answer(await program.get("/api/auth/me"))
    assert (me["signedInBy"], me["scopes"]) == ("key", ["agent.project.list"])
    # A key makes no key that may do more than it.
    more = {"name": "more", "scopes": ["agent.project.create"]}
    refusal(await program.post("/api/auth/keys", json=more), 403, "PERMISSION_DENIED")
    listed = answer(await anna.get("/api/auth/keys"))["items"]
    assert [each["name"] for each in listed] == ["ci"]
    assert "key" not in listed[0]
    answer(await anna.delete(f"/api/auth/keys/{made['id']}"))
    refusal(await program.get("/api/projects"), 401, "AUTHENTICATION_INVALID")

    short = answer(await anna.post("/api/auth/keys", json={"name": "short", "days": 1}), 201)
    past = update(api_keys).values(expires_at="2020-01-01T00:00:00.000000Z")
    await server.kernel._store.write(lambda c: c.execute(past))
    refusal(await server.client(short["key"]).get("/api/projects"), 401, "TOKEN_EXPIRED")


async def test_nobody_sees_or_takes_away_the_keys_of_another(server: Running) -> None:
    anna, bert = await server.signed_in("anna", "viewer"), await server.signed_in("bert", "viewer")
    made = answer(await anna.post("/api/auth/keys", json={"name": "ci"}), 201)
    assert answer(await bert.get("/api/auth/keys"))["items"] == []
    refusal(await bert.delete(f"/api/auth/keys/{made['id']}"), 404, "RESOURCE_NOT_FOUND")


DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def test_a_device_is_let_in_by_a_person_elsewhere(server: Running) -> None:
    anna = await server.signed_in("anna", "viewer")
    device = server.client()
    begun = (await device.post("/oauth/device_authorization", data={"client_id": "tv"})).json()
    assert begun["verification_uri"] == f"{server.url}/device"
    asked = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"], "client_id": "tv"}
    assert (await device.post("/oauth/token", data=asked)).json() == {"error": "authorization_pending"}
    assert (await device.post("/oauth/token", data=asked)).json() == {"error": "slow_down"}
    approved = answer(await anna.post("/api/auth/devices", json={"userCode": begun["user_code"].lower()}))
    assert approved == {"client": "tv", "approved": True}
    tokens = await device.post("/oauth/token", data=asked)
    assert tokens.headers["cache-control"] == "no-store"
    me = answer(await server.client(tokens.json()["access_token"]).get("/api/auth/me"))
    assert me["name"] == "anna"
    refreshed = {"grant_type": "refresh_token", "refresh_token": tokens.json()["refresh_token"]}
    assert "access_token" in (await device.post("/oauth/token", data=refreshed)).json()
    # The code was good once.
    assert (await device.post("/oauth/token", data=asked)).json() == {"error": "expired_token"}


async def test_a_person_approves_a_device_on_the_page_by_name_and_password(server: Running) -> None:
    await server.user("anna", "viewer")
    device = server.client()
    begun = (await device.post("/oauth/device_authorization", data={"client_id": "<b>tv</b>"})).json()
    page = await device.get(begun["verification_uri_complete"])
    assert begun["user_code"] in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    form = {"user_code": begun["user_code"], "name": "anna", "verdict": "approve"}
    assert (await device.post("/device", data={**form, "password": "a guess"})).status_code == 403
    done = await device.post("/device", data={**form, "password": PASSWORD})
    assert "&lt;b&gt;tv" in done.text
    asked = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"]}
    assert "access_token" in (await device.post("/oauth/token", data=asked)).json()
    denied = (await device.post("/oauth/device_authorization", data={"client_id": "tv"})).json()
    await device.post("/device", data={**form, "user_code": denied["user_code"], "password": PASSWORD, "verdict": "no"})
    refused = await device.post("/oauth/token", data={**asked, "device_code": denied["device_code"]})
    assert refused.json() == {"error": "access_denied"}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": DEVICE_GRANT, "device_code": "none"}, "expired_token"),
        ({"grant_type": "refresh_token", "refresh_token": "none"}, "invalid_grant"),
    ],
)
async def test_a_device_is_refused_as_the_rfc_says(server: Running, form: dict[str, str], error: str) -> None:
    refused = await server.client().post("/oauth/token", data=form)
    assert (refused.status_code, refused.json()) == (400, {"error": error})
    assert (await server.client().post("/oauth/token", json=form)).json() == {"error": "invalid_request"}


async def test_a_new_secret_signs_everybody_out(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as server:
        await server.user("anna", "viewer")
        token = (await server.login("anna"))["accessToken"]
        assert jwt.get_unverified_header(token)["alg"] == "HS256"
    (tmp_path / "data" / "secret.key").unlink()
    # On purpose: who only lost it is told so.
    with closing(sqlite3.connect(tmp_path / "data" / "nexus.db")) as database, database:
        database.execute("DELETE FROM seals")
    async with running(tmp_path / "data") as server:
        refusal(await server.client(token).get("/api/projects"), 401, "AUTHENTICATION_INVALID")
        await server.login("anna")


async def test_a_folder_has_one_secret(data_folder: Path) -> None:
    mine, other = KernelSettings(secret="m" * 40), KernelSettings(secret="o" * 40)
    kernel = await Kernel.open(data_folder, OneShotHost(), settings=mine)
    await kernel.close()
    assert (data_folder / "secret.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigInvalid):
        await Kernel.open(data_folder, OneShotHost(), settings=other)
    # Whoever opens it next without the variable has the same.
    for settings in (None, mine):
        kernel = await Kernel.open(data_folder, OneShotHost(), settings=settings)
        assert kernel.accounts.access._keys.key("x") == Keys(data_folder, "m" * 40).key("x")
        await kernel.close()


async def audit_of(server: Running) -> str:
    """Return all that the audit chain says."""
    from nexus.kernel.store.schema import audit

    rows = await server.kernel._store.read(lambda c: c.execute(select(audit.c.record).order_by(audit.c.seq)).all())
    return "\n".join(row.record for row in rows)
