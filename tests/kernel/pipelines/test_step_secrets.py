"""Secrets of steps: each has those that it names, masked in what it prints, newer ones while it runs, none after."""

from pathlib import Path
from typing import Any

from sqlalchemy import update

from nexus.kernel.store.schema import runs
from tests.kernel.answers import answer
from tests.kernel.holder.programs import eventually
from tests.kernel.pipelines.runs import House, printed

VALUE, NEXT = "correct-horse-battery", "staple-of-another-day"
WAIT = 'while [ "$(cat "$API_KEY_FILE")" = "$API_KEY" ]; do sleep 0.05; done'
SCRIPT = f'echo "$API_KEY_FILE"; echo "has $API_KEY"; {WAIT}; echo "old $API_KEY new $(cat "$API_KEY_FILE")"'


def rotated(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["payload"] for each in events if each["event"] == "status" and "secrets" in each["payload"]]


async def test_a_step_has_its_own_secrets_and_newer_ones_also_from_the_next_kernel(house: House) -> None:
    for name in ("API_KEY", "OTHER"):
        answer(await house.api.put(f"/api/secrets/{name}", json={"value": VALUE if name == "API_KEY" else "other"}))
    steps = {"with": {"sh": SCRIPT, "secrets": ["API_KEY"]}, "without": 'echo "$${API_KEY-none} $${OTHER-none}"'}
    run = await house.start(steps)
    events = await run.until_printed("has ***")
    file = Path(printed(events, "with")[0])
    assert file.read_text() == VALUE
    assert printed(await run.until("without", "succeeded"), "without") == ["none none"]
    # The kernel is another from here on.
    await house.close()
    await house.open()
    # Of sessions that are at work nothing is taken away.
    await house.kernel.sessions.ready()
    secrets = house.coordination._surroundings.secrets
    await secrets.sweep(house.coordination._surroundings.drivers.at_work())
    assert file.exists()
    answer(await house.api.put("/api/secrets/API_KEY", json={"value": NEXT}))
    events = await run.events()
    assert printed(events, "with")[1:] == ["has ***", "old *** new ***"]
    assert [(each["secrets"], each["step"], each["attempt"]) for each in rotated(events)] == [(["API_KEY"], "with", 1)]
    assert VALUE not in str(events)
    assert NEXT not in str(events)
    assert events[-1]["payload"]["reason"] == "succeeded"
    await eventually(lambda: not file.parent.exists())
    kept = [each for each in house.folder.rglob("*") if each.is_file()]
    assert not [each for each in kept if VALUE.encode() in each.read_bytes() or NEXT.encode() in each.read_bytes()]


async def test_what_the_steps_of_a_run_had_goes_with_the_run_whoever_has_it(house: House) -> None:
    answer(await house.api.put("/api/secrets/API_KEY", json={"value": VALUE}))
    stays = 'echo "$API_KEY_FILE"; while :; do sleep 0.1; done'
    run = await house.start({"a": {"sh": stays, "secrets": ["API_KEY"]}, "b": {"sh": stays, "secrets": ["API_KEY"]}})
    events = await run.events(lambda events: len(printed(events, "a") + printed(events, "b")) == 2)
    files = [Path(*printed(events, name)) for name in "ab"]
    assert [file.read_text() for file in files] == [VALUE] * 2
    await house.close()
    await house.open()
    taken = update(runs).where(runs.c.id == run.id).values(kernel="another", fence=9, session_id="ses_other")
    await house.kernel._store.write(lambda connection: connection.execute(taken))
    assert (await run.events())[-1]["payload"]["reason"] == "lost"
    assert not [file for file in files if file.parent.exists()]


async def test_a_secret_that_is_not_there_fails_its_step_at_once(house: House) -> None:
    run = await house.start({"with": {"sh": "true", "secrets": ["NOTHING"], "retries": {"attempts": 9}}})
    assert await run.over() == ("failed", 1)
    [attempt] = await run.attempts("with")
    assert attempt.error["code"] == "RESOURCE_NOT_FOUND"
    assert "NOTHING" in attempt.reason


async def test_a_step_shows_no_secret_that_another_one_left_it(house: House) -> None:
    answer(await house.api.put("/api/secrets/API_KEY", json={"value": VALUE}))
    left = {"sh": 'echo "$API_KEY" > key', "secrets": ["API_KEY"]}
    waits = {"sh": "cat ${inputs.a}/key; until [ -e go ]; do sleep 0.05; done; cat ${inputs.a}/key", "needs": ["a"]}
    run = await house.start({"a": left, "b": waits, "c": {"sh": "cat ${inputs.a}/key", "needs": ["a", "b"]}})
    await run.until_printed("***")
    # The kernel is another from here on.
    await house.close()
    await house.open()
    (house.coordination._means.folders.work(run.id, "b", 1) / "go").touch()
    events = await run.events()
    assert (printed(events, "b"), printed(events, "c")) == (["***"] * 2, ["***"])
