"""`pipeline run` and `pipeline step`: started, told, followed, begun again."""

import asyncio
import json
import signal

from tests.handlers.conftest import Silent
from tests.handlers.pipeline.conftest import messages
from tests.kernel.holder.programs import eventually

TOLD = """\
name: told
parameters: {who: {}, times: {type: integer, default: 1}, loud: {type: boolean, default: false}}
datasets: {sales: }
steps:
  say: {run: [echo, "${parameters.who}", "${parameters.times}", "${parameters.loud}"]}
  show: {run: [cat, "${datasets.sales}"], datasets: [sales], needs: [say]}
"""

BROKEN = """\
name: broken
steps:
  first: {run: [echo, one]}
  second: {needs: [first], run: [sh, -c, "echo two; exit 3"]}
  third: {needs: [second], run: [echo, three]}
"""

SLOW = "name: slow\nsteps:\n  wait: {run: [sh, -c, 'echo begun; exec sleep 600']}\n"


async def test_a_run_is_told_its_parameters(pipelines):
    await pipelines.made(TOLD.replace("datasets: {sales: }\n", "").partition("  show:")[0])
    pipelines.write("told.json", '{"times": 7, "loud": true, "who": "nobody"}')
    status, events = await pipelines.streamed(
        "pipeline run told --params told.json --param 'who=a, b=c' --follow --exit-code"
    )
    assert status == 0
    assert messages(events) == ["a, b=c 7 true"]
    end = events[-1]["payload"]
    assert (events[0]["event"], end["reason"], end["exitCode"]) == ("metadata", "succeeded", 0)
    run = (await pipelines("pipeline status told")).data
    assert run["parameters"] == {"who": "a, b=c", "times": 7, "loud": True}
    again = json.dumps({"pipeline": "told", "param": {"who": "x", "times": 2}})
    begun = (await pipelines("pipeline run start --input - --collect", stdin=again.encode())).data
    assert (begun["status"], begun["parameters"]["times"], begun["change"]) == ("succeeded", 2, "created")


async def test_what_is_told_wrong_is_told_back(pipelines):
    await pipelines.made(TOLD)
    for given, field in (
        ("--param who", "param"),
        ("--param times=x --param who=y --dataset s", "parameters.times"),
        ("--dataset s", "parameters.who"),
        ("--param who=x", "datasets.sales"),
        ("--param who=x --dataset sales=a --dataset b", "dataset"),
        ("--param nobody=x", "parameters.nobody"),
        ("--params absent.json", "params"),
    ):
        error = (await pipelines(f"pipeline run start told {given}")).error
        assert (error["code"], error["details"].get("field")) == ("VALIDATION_ERROR", field), given
    error = (await pipelines("pipeline run start told --params -", stdin=b'{"who": "x",\n "times": [1]}')).error
    assert (error["details"]["line"], error["details"]["column"]) == (2, 11)
    await pipelines.made("name: two\ndatasets: {a: , b: }\nsteps: {x: {run: [echo]}}\n")
    assert (await pipelines("pipeline run two --dataset x")).error["details"]["expected"] == ["a=NAME", "b=NAME"]
    await pipelines.made("name: plain\nsteps: {a: {run: [echo]}}\n")
    assert "no data set" in (await pipelines("pipeline run start plain --dataset x")).error["message"]
    assert (await pipelines("pipeline run history")).data["items"] == []


async def test_a_run_that_fails_is_looked_into_resumed_and_retried(pipelines):
    await pipelines.made(BROKEN)
    status, events = await pipelines.streamed("pipeline run broken --follow --exit-code")
    assert (status, events[-1]["payload"]["reason"]) == (1, "failed")
    run = (await pipelines("pipeline status broken")).data
    assert {step["name"]: step["status"] for step in run["steps"]} == {
        "first": "succeeded",
        "second": "failed",
        "third": "skipped",
    }
    steps = (await pipelines("pipeline step list broken --status failed")).data["items"]
    assert [(step["name"], step["exitCode"]) for step in steps] == [("second", 3)]
    viewed = (await pipelines(f"pipeline step view {run['id']} second")).data
    assert [attempt["exitCode"] for attempt in viewed["history"]] == [3]
    missing = (await pipelines("pipeline step view broken secnd")).error
    assert missing["details"]["suggestions"] == ["second"]

    resumed = (await pipelines(f"pipeline run resume {run['id']} --collect")).data
    assert (resumed["id"], resumed["status"], resumed["change"]) == (run["id"], "failed", "updated")
    assert {step["name"]: step["attempt"] for step in resumed["steps"]} == {"first": 1, "second": 2, "third": 0}
    retried = (await pipelines("pipeline run retry broken --collect")).data
    assert (retried["retryOf"], retried["status"], retried["change"]) == (run["id"], "failed", "created")
    history = (await pipelines("pipeline history broken --status failed")).data["items"]
    assert [item["id"] for item in history] == [retried["id"], run["id"]]
    assert (await pipelines(f"pipeline run delete {run['id']} --yes")).data["change"] == "deleted"
    assert (await pipelines("pipeline run delete broken --yes")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await pipelines("pipeline run status nobody")).error["details"]["hint"] == "nexus pipeline run history"


async def test_logs_are_the_lines_alone_of_all_steps_or_one(pipelines):
    await pipelines.made(BROKEN)
    await pipelines("pipeline run broken --collect")
    status, events = await pipelines.streamed("pipeline run logs broken --follow")
    assert (status, messages(events)) == (0, ["one", "two"])
    assert [event["event"] for event in events] == ["metadata", "data", "data", "close"]
    assert events[-1]["payload"]["reason"] == "failed"
    _, events = await pipelines.streamed("pipeline run logs broken --step second")
    assert (messages(events), events[-1]["event"]) == (["two"], "close")
    _, events = await pipelines.streamed("pipeline run logs broken --limit 1")
    assert messages(events) == ["one"]
    for lines, left in ((0, []), (1, ["two"]), (9, ["one", "two"])):
        _, events = await pipelines.streamed(f"pipeline run logs broken -n {lines} -f")
        assert (messages(events), events[-1]["payload"]["reason"]) == (left, "failed")
    _, events = await pipelines.streamed("pipeline step logs broken first --lines 1")
    assert messages(events) == ["one"]
    assert (await pipelines("pipeline run logs broken --lines 1 --tail 1")).error["code"] == "VALIDATION_ERROR"
    assert messages((await pipelines("pipeline step logs broken first --collect")).data["events"]) == ["one"]
    assert (await pipelines("pipeline run logs broken --step nobody")).error["details"]["available"]
    watched = (await pipelines("pipeline run watch broken --collect")).data["events"]
    changes = [event["payload"] for event in watched if event["payload"].get("type") == "step"]
    assert [change["status"] for change in changes if change["step"] == "second"] == ["running", "failed"]


class Interrupted(Silent):
    """A caller that sends one interrupt, when it is told to."""

    def __init__(self) -> None:
        self.now = asyncio.Event()

    async def next(self) -> int:
        await self.now.wait()
        self.now.clear()
        return signal.SIGINT


async def test_an_interrupt_ends_a_watch_alone_and_cancels_what_is_followed(pipelines):
    await pipelines.made(SLOW)
    sessions = pipelines.runtime.kernel.kernel.sessions
    follower = Interrupted()
    following = asyncio.create_task(pipelines.streamed("pipeline run slow --follow", follower))
    await eventually(lambda: any(live.output.last >= 2 for live in sessions.live.values()))
    watcher = Interrupted()
    watching = asyncio.create_task(pipelines.streamed("pipeline run watch slow --after 0", watcher))
    await eventually(lambda: sum(len(live.readers) for live in sessions.live.values()) == 2)
    watcher.now.set()
    status, events = await watching
    assert (status, events[-1]["payload"]["reason"]) == (130, "reader")
    assert (await pipelines("pipeline status slow")).data["status"] == "running"
    refused = (await pipelines("pipeline run retry slow")).error
    assert refused["code"] == "RESOURCE_CONFLICT"

    run = (await pipelines("pipeline status slow")).data["id"]
    late = (await pipelines("pipeline run slow --collect --timeout 2")).error
    assert (late["code"], late["details"]["runId"]) == ("TIMEOUT", late["details"]["hint"].split()[-1])
    assert (await pipelines(f"pipeline run cancel {late['details']['runId']}")).data["status"] == "cancelling"

    follower.now.set()
    status, events = await following
    assert (status, [event["event"] for event in events[-2:]]) == (130, ["interrupt", "close"])
    _, events = await pipelines.streamed(f"pipeline run watch {run}")
    assert events[-1]["payload"]["reason"] == "cancelled"
    assert (await pipelines(f"pipeline status {run}")).data["status"] == "cancelled"
    assert (await pipelines(f"pipeline run resume {run}")).data["status"] in ("queued", "running")
    assert (await pipelines(f"pipeline run cancel {run}")).data["change"] == "updated"
    _, events = await pipelines.streamed(f"pipeline run watch {run}")
    assert events[-1]["payload"]["reason"] == "cancelled"
    assert (await pipelines(f"pipeline run cancel {run}")).data["change"] == "unchanged"
