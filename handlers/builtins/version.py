"""`version`: which Nexus this is."""

import sys

from nexus import __version__
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, NoArguments
from nexus.schemas.model import Model


class Version(Model):
    """The version of Nexus and of what it runs on."""

    name: str
    version: str
    python: str
    platform: str


class ShowVersion(CommandHandler[NoArguments, Version]):
    """Show the version of Nexus, of Python and the platform."""

    path = ("version",)
    result = Version
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    examples = (
        Example(line="nexus version", shows="Which Nexus this is"),
        Example(line="nexus version --query version", shows="The number alone"),
    )

    async def execute(self, context: ExecutionContext[NoArguments]) -> Version:  # noqa: ARG002 -- the interface's
        return Version(
            name="nexus",
            version=__version__,
            python=".".join(map(str, sys.version_info[:3])),
            platform=sys.platform,
        )
