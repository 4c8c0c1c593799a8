"""`pipeline run` is a level of commands, and another name of `pipeline run start`: by every way there is."""

import json

import pytest

HELLO = "name: hello\nparameters: {who: {default: world}}\nsteps: {greet: {run: [echo, '${parameters.who}']}}\n"
START = ["pipeline", "run", "start"]


@pytest.fixture
async def hello(pipelines):
    await pipelines.made(HELLO)
    return pipelines


async def test_what_is_no_action_is_an_argument_of_start(hello):
    for line in (
        "pipeline run start hello --dry-run",
        "pipeline run hello --dry-run",
        "pipeline.run hello --dry-run",
        "PIPELINE Run hello --dry-run",
        "pipeline run --param who=you hello --dry-run",
        "pipeline run --dry-run -- hello",
        "pi ru --dry-run hello",
        "exec 'pipeline run hello --dry-run'",
    ):
        told = (await hello(line)).data
        assert (told["path"], told["arguments"]["pipeline"]) == (START, "hello"), line
    assert (await hello("pipeline run status hello --dry-run")).data["path"] == ["pipeline", "run", "status"]
    for level in ("pipeline run", "pipeline run --help", "help pipeline run", "exec 'pipeline run'"):
        assert (await hello(level)).data["name"] == "nexus pipeline run", level
    # A pipeline that is called as an action is started in full.
    assert (await hello("pipeline run start start --dry-run")).data["arguments"]["pipeline"] == "start"


async def test_a_mistyped_action_is_told_as_one(hello):
    for line in ("pipeline run statsu hello", "help pipeline run statsu"):
        error = (await hello(line)).error
        assert (error["code"], error["details"]["suggestions"][0]) == ("COMMAND_NOT_FOUND", "pipeline run status"), line
    error = (await hello("pipeline run statsu")).error
    assert error["message"] == "There is no pipeline 'statsu'."
    assert error["details"]["suggestions"][0] == "pipeline run status"
    error = (await hello("pipeline run helo")).error
    assert error["details"]["suggestions"] == ["hello"]
    assert (await hello("pipeline run history hello")).data["items"] == []


async def test_a_batch_runs_it_by_line_and_by_path(hello):
    records = [
        {"command": "pipeline run hello --collect"},
        {"path": "pipeline.run", "args": {"pipeline": "hello", "param": {"who": "you"}, "collect": True}},
        {"path": "pipeline.run"},
        {"path": "pipeline.run.hello"},
        {"path": "pipeline.run.statsu"},
    ]
    stdin = "\n".join(map(json.dumps, records)).encode()
    _, answers = await hello.streamed("batch", stdin=stdin)
    started, also, level, no_path, mistyped = answers
    assert (started["data"]["status"], also["data"]["parameters"]) == ("succeeded", {"who": "you"})
    assert level["data"]["name"] == "nexus pipeline run"
    assert "put them into its arguments" in no_path["errors"][0]["message"]
    assert mistyped["errors"][0]["details"]["suggestions"][0] == "pipeline run status"
