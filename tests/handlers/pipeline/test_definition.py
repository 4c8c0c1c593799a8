"""`pipeline definition`: documents in, and out again as they went in."""

import json

import yaml

TOTALS = """\
name: totals
parameters: {least: {type: integer, default: 3}}
datasets: {sales: }
steps:
  clean: {run: [cat, "${datasets.sales}"], datasets: [sales]}
  report: {needs: [clean], run: [echo, "${parameters.least}"]}
"""


async def test_a_document_is_kept_viewed_and_taken_again(pipelines):
    pipelines.write("p.yaml", TOTALS)
    checked = (await pipelines("pipeline definition validate --from p.yaml")).data
    assert (checked["waves"], checked["datasets"]) == ([["clean"], ["report"]], ["sales"])
    assert (await pipelines("pipeline ls")).data["items"] == []
    made = (await pipelines("pipeline definition create --from -", stdin=TOTALS.encode())).data
    assert (made["name"], made["revision"], made["change"], made["order"]) == (
        "totals",
        1,
        "created",
        ["clean", "report"],
    )
    for reference in (made["id"], "totals"):
        assert (await pipelines(f"pipeline definition view {reference}")).data["document"] == made["document"]
    assert [item["name"] for item in (await pipelines("pipeline ls")).data["items"]] == ["totals"]
    # What view prints goes in again, in either form, and is the same.
    answer = (await pipelines("pipeline definition view totals")).envelope
    for written in (json.dumps(answer), yaml.safe_dump(answer)):
        same = await pipelines("pipeline definition update totals --from -", stdin=written.encode())
        assert (same.data["change"], same.data["changed"], same.data["revision"]) == ("unchanged", [], 1)
    document = json.dumps({**made["document"], "description": "Totals"})
    changed = (await pipelines(f"pipeline definition update totals --document '{document}' --revision 1")).data
    assert (changed["change"], changed["changed"], changed["revision"]) == ("updated", ["description"], 2)
    late = await pipelines("pipeline definition update totals --from p.yaml --revision 1")
    assert late.error["code"] == "RESOURCE_CONFLICT"
    assert (await pipelines("pipeline definition create --from p.yaml")).error["code"] == "RESOURCE_CONFLICT"
    assert (await pipelines("pipeline definition delete totals")).error["code"] == "CONFIRMATION_REQUIRED"
    assert (await pipelines("pipeline definition delete totals --yes")).data["change"] == "deleted"
    missing = (await pipelines("pipeline definition view totals")).error
    assert (missing["code"], missing["details"]["hint"]) == ("RESOURCE_NOT_FOUND", "nexus pipeline definition list")


async def test_what_the_kernel_finds_wrong_has_its_place_in_the_file(pipelines):
    pipelines.write(
        "p.yaml", "pipeline:\n  name: p\n  steps:\n    a: {run: [x]}\n    b:\n      run: [x]\n      needs: [aa]\n"
    )
    for action in ("validate", "create"):
        error = (await pipelines(f"pipeline definition {action} --from p.yaml")).error
        assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", "steps.b.needs")
        assert (error["details"]["line"], error["details"]["column"]) == (7, 14)
        assert error["message"].startswith(f"{pipelines.cwd}/p.yaml, line 7, column 14: ")
    inline = json.dumps({"name": "p", "steps": {"a": {"run": ["x"], "needs": ["a"]}}})
    error = (await pipelines(f"pipeline definition create --document '{inline}'")).error
    assert error["details"]["field"] == "steps.a.needs"
    assert "line" not in error["details"]


async def test_a_file_that_cannot_be_read_is_told(pipelines):
    for source in ("absent.yaml", ".", "/dev/null/x", "/dev/fd/63"):
        error = (await pipelines(f"pipeline definition create --from {source}")).error
        assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", "from")
    pipelines.write("large.yaml", "#" * (256 * 1024 + 1))
    assert (
        "larger than 262144 bytes" in (await pipelines("pipeline definition create --from large.yaml")).error["message"]
    )
    both = await pipelines("pipeline definition create --from x.yaml --document {}")
    assert "exactly one of --from and --document" in both.error["message"]
    several = await pipelines("pipeline definition validate --from -", stdin=b"foo: 1\nname: p\nsteps: {a: {}}\n")
    assert [entry["details"]["line"] for entry in several.envelope["errors"]] == [1, 3]
