"""How plugins write answers: formats of their own, and templates in the place of what people are shown."""

from typing import Any

from nexus.output.human import safe
from nexus.output.log import log_line
from nexus.plugins.caller import Caller
from nexus.plugins.runner import PluginRunner
from nexus.plugins.template import TemplateInvalid, filled, template_for
from nexus.schemas.errors import NexusError, PluginError

SECONDS = 10.0


async def written(
    runner: PluginRunner, output: str, path: str, envelope: dict[str, Any], caller: Caller
) -> bytes | None:
    """Return an answer as a plugin writes it, None where none does. What does not work is a warning, and none.

    `path` is the command's, with dots; that of help is what help is about, under `help`.
    """
    try:
        if output == "human":
            return _by_template(runner, path, envelope)
        for known, formats in runner.catalog.contributing("contributes", "outputFormats"):
            if output in formats:
                text = await runner.call(known, formats[output]["call"], {"envelope": envelope}, caller, SECONDS)
                if not isinstance(text, str):
                    raise PluginError.because(f"The output format {output} of the plugin {known.name} wrote no text.")
                return _ended(text)
    except (NexusError, TemplateInvalid) as error:
        if caller.stderr is not None:
            sentence = f"The answer is not written as {output}: {error}"
            await caller.stderr.write(log_line("warning", sentence, caller.request_id))
    return None


def _by_template(runner: PluginRunner, path: str, envelope: dict[str, Any]) -> bytes | None:
    data = envelope["data"]
    if envelope["status"] != "ok" or not isinstance(data, dict):
        return None
    if path == "help":
        about = str(data.get("name", "")).removeprefix("nexus").split()
        text = template_for(runner.catalog, "help", ".".join(about) or "nexus")
    else:
        text = template_for(runner.catalog, "human", path)
    if text is None:
        return None
    return _ended(safe(filled(text, {**data, "message": envelope["message"]})))


def _ended(text: str) -> bytes:
    return (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "replace")
