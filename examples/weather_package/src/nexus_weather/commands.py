"""The commands of the plugin."""

from collections.abc import Iterator
from typing import Any

from nexus.plugin import ExecutionContext, Invalid, NexusPlugin

CITIES = {"Cairo": 31, "Lima": 19, "Oslo": 4}

plugin = NexusPlugin()


def city(name: str) -> str:
    """Return a city as it is written here: the argument type `city`."""
    for known in CITIES:
        if known.casefold() == name.casefold():
            return known
    raise Invalid(f"There is no weather for {name}.", field="name", hint="nexus weather city list")


@plugin.command("weather city list")
def list_cities(context: ExecutionContext) -> dict[str, Any]:
    context.log(f"{len(CITIES)} cities", level="debug")
    return {"items": [{"name": name} for name in sorted(CITIES)], "nextCursor": None, "truncated": False}


@plugin.command("weather city view")
def view(context: ExecutionContext) -> dict[str, Any]:
    return {"name": context.args.name, "degrees": CITIES[context.args.name]}


@plugin.command("weather city watch")
def watch(context: ExecutionContext) -> Iterator[dict[str, Any]]:
    for day in range(context.args.days):
        yield {"day": day + 1, "degrees": CITIES[context.args.name] + day % 3}
