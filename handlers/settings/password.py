"""Changing one's own password, which wants no role."""

from typing import Any

from nexus.handlers.api_errors import WRITING
from nexus.handlers.secrets_given import fitting, new_password_given, secret_given
from nexus.handlers.settings.auth import LOCAL_TOLD, server_of, sign_ins
from nexus.schemas.account import GivenPassword, Password, PasswordChange, Tokens
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.errors import RateLimited, ValidationError
from nexus.schemas.profile import Profile


class ChangePassword(CommandHandler[NoArguments, Profile]):
    """Change your password on the server. What it signed in elsewhere ends; API keys stay.

    The current password and the new one are typed at the terminal, or read from standard input, a line each.
    """

    path = ("settings", "auth", "password")
    result = Profile
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = (*WRITING, RateLimited)
    examples = (Example(line="nexus settings auth password --dry-run", shows="Another password for you"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Outcome[Profile]:
        server, signing = server_of(context), sign_ins(context)
        if server is None:
            return Outcome(signing.get(signing.current), message=LOCAL_TOLD, change="unchanged")
        tokens = await context.api.post("/api/auth/password", Tokens, body=await _given(context))
        profile = await signing.keep(server, tokens)
        return Outcome(profile, message=f"Changed the password of {profile.user}; other sign-ins have ended.")


async def _given(context: ExecutionContext[Any]) -> PasswordChange:
    if context.stdin.is_terminal:
        current = await secret_given(context, "Current password: ", field="password", kind=GivenPassword)
        return PasswordChange(current=current, password=await new_password_given(context, "New password: "))
    first, _, second = (await secret_given(context, "", field="password")).partition("\n")
    if not second:
        raise ValidationError.because(
            "Standard input wants two lines: the current password and the new one.", field="password"
        )
    return PasswordChange(
        current=fitting(first.removesuffix("\r"), GivenPassword, "password"),
        password=fitting(second, Password, "password"),
    )
