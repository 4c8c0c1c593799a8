"""Runs: each step behind what it needs, tried as often as it says, and ended when the run is."""

from tests.kernel.pipelines.runs import House, changes, printed


async def test_a_step_begins_when_what_it_needs_is_done_and_finds_what_that_left(house: House) -> None:
    run = await house.start(
        {
            "extract": 'echo "$NEXUS_STEP $NEXUS_ATTEMPT"; echo rows > out.txt; echo low >&2',
            "load": {"sh": 'cat "$NEXUS_INPUTS/extract/out.txt" "${inputs.extract}/out.txt"', "needs": ["extract"]},
        }
    )
    events = await run.events()
    assert events[-1]["payload"] == {"reason": "succeeded", "exitCode": 0, "lastSeq": events[-1]["seq"]}
    assert changes(events) == [
        ("extract", "running"),
        ("extract", "succeeded"),
        ("load", "running"),
        ("load", "succeeded"),
    ]
    assert printed(events, "extract") == ["extract 1", "low"]
    assert printed(events, "load") == ["rows", "rows"]
    row = await run.row()
    assert (row.status, row.lease_until, row.reason) == ("succeeded", None, None)
    assert not (house.folder / "pipelines" / "runs" / run.id).exists()
