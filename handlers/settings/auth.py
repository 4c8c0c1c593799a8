"""Signing in to a server and out again, and tokens for programs."""

from typing import Any, Literal

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.secrets_given import fitting, new_password_given, secret_given
from nexus.schemas.account import (
    AccountName,
    ApiKeyMade,
    DeviceApproval,
    DeviceApproved,
    GivenPassword,
    Identity,
    Login,
    NewApiKey,
    Patterns,
    Registration,
    SetupToken,
    SignedOut,
    SignOut,
    Tokens,
)
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.errors import (
    AuthInvalid,
    BackendError,
    Conflict,
    NexusError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RegistrationClosed,
    ValidationError,
)
from nexus.schemas.model import Model
from nexus.schemas.profile import CredentialPlace, Profile, SignIns

SETUP_VARIABLE = "NEXUS_SETUP_TOKEN"
LOCAL_TOLD = "The kernel of this machine serves its owner without a sign-in; name a server by --server URL."

SIGNING: tuple[type[NexusError], ...] = (*WRITING, RateLimited, BackendError)


class SignedIn(Model):
    """Who is signed in where, and where what signs in is kept. `profile` is what commands use from now on."""

    server: str | None
    profile: str
    user: str | None
    signed_in: bool
    by: Literal["socket", "environment", "keyring", "file", "nothing"]


class LoginArguments(Arguments):
    username: str | None = Field(default=None, max_length=64, description="The name to sign in with.")
    token_stdin: bool = Field(default=False, description="Read an API key from standard input, in place of a password.")
    device: bool = Field(default=False, description="Show a code that a person approves elsewhere.")


class LogIn(CommandHandler[LoginArguments, SignedIn]):
    """Sign in to the server that --server or the profile names; commands use that profile from then on.

    The password is typed at the terminal, or read from standard input. What the server gives is kept in the keyring, or
    in a file that only you read where there is none.
    """

    path = ("settings", "auth", "login")
    arguments = LoginArguments
    result = SignedIn
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = SIGNING
    examples = (
        Example(line="nexus settings auth login", shows="The kernel of this machine wants none"),
        Example(
            line="nexus settings auth login --server https://nexus.example.com --username anna --dry-run",
            shows="A server",
        ),
    )

    async def execute(self, context: ExecutionContext[LoginArguments]) -> Outcome[SignedIn]:
        given, server = context.args, server_of(context)
        if server is None:
            return Outcome(_local(context), message=LOCAL_TOLD, change="unchanged")
        if sum((given.token_stdin, given.device)) > 1:
            raise ValidationError.because("Give one of --token-stdin and --device.", field="device")
        if given.token_stdin:
            profile = await _with_key(context, server)
        elif given.device:
            profile = await sign_ins(context).keep(server, await _as_device(context, server))
        else:
            name = _name(given.username)
            password = await secret_given(context, "Password: ", field="password", kind=GivenPassword)
            body = Login(name=name, password=password)
            tokens = await context.api.post("/api/auth/login", Tokens, body=body)
            profile = await sign_ins(context).keep(server, tokens)
        return Outcome(_told(profile), message=f"Signed in to {server} as {profile.user}.")


class RegisterArguments(Arguments):
    username: AccountName = Field(description="The name to sign in with.")


class Register(CommandHandler[RegisterArguments, SignedIn]):
    """Open an account on the server and sign in to it.

    Servers are closed to this unless they say otherwise. The set-up token that a new server prints, in
    NEXUS_SETUP_TOKEN, opens its first account, an admin's. The password is typed, or read from standard input.
    """

    path = ("settings", "auth", "register")
    arguments = RegisterArguments
    result = SignedIn
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*SIGNING, RegistrationClosed, Conflict)
    examples = (
        Example(
            line="nexus settings auth register --server https://nexus.example.com --username anna --dry-run",
            shows="An account of your own",
        ),
    )

    async def execute(self, context: ExecutionContext[RegisterArguments]) -> Outcome[SignedIn]:
        server = server_of(context)
        if server is None:
            return Outcome(_local(context), message=LOCAL_TOLD, change="unchanged")
        setup = context.environment.get(SETUP_VARIABLE)
        body = Registration(
            name=context.args.username,
            setup_token=fitting(setup, SetupToken, SETUP_VARIABLE) if setup else None,
            password=await new_password_given(context, "Password: "),
        )
        tokens = await context.api.post("/api/auth/register", Tokens, body=body)
        profile = await sign_ins(context).keep(server, tokens)
        return Outcome(_told(profile), message=f"Opened the account {profile.user} on {server}.")


class LogOut(CommandHandler[NoArguments, SignedIn]):
    """Sign out: the server ends the sign-in, and what was kept on this machine is gone either way."""

    path = ("settings", "auth", "logout")
    result = SignedIn
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "deleted"
    errors = SIGNING
    examples = (Example(line="nexus settings auth logout", shows="Sign out of the current profile"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Outcome[SignedIn]:
        server, signing = server_of(context), sign_ins(context)
        if server is None:
            return Outcome(_local(context), message=LOCAL_TOLD, change="unchanged")
        refresh, there = await signing.take(signing.current)
        message = f"Signed out of {server}." if there else f"Nothing was kept for {server}."
        if refresh is not None:
            try:
                await context.api.post("/api/auth/logout", SignedOut, body=SignOut(refresh_token=refresh))
            except (AuthInvalid, OutcomeUnknown, BackendError) as error:
                # The tokens are gone from here; one that the server could not be told of ends by itself.
                message = f"Forgot what signed in to {server}, which was not told: {error}"
        told = SignedIn(server=server, profile=signing.current, user=None, signed_in=False, by="nothing")
        return Outcome(told, message=message, change="deleted" if there else "unchanged")


class Status(SignedIn):
    """Who the server says you are, and what you may do there."""

    identity: Identity


class ShowStatus(CommandHandler[NoArguments, Status]):
    """Tell who you are to the server that commands speak to, and what your roles grant."""

    path = ("settings", "auth", "status")
    result = Status
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus settings auth status", shows="Who you are here"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Status:
        signing, server = sign_ins(context), server_of(context)
        identity = await context.api.get("/api/auth/me", Identity)
        by: Literal["socket", "environment", "keyring", "file", "nothing"] = "nothing"
        if server is None:
            by = "socket"
        elif signing.from_environment:
            by = "environment"
        elif identity.signed_in_by != "none":
            by = _place_of(signing, server) or "nothing"
        return Status(
            server=server,
            profile=signing.current,
            user=identity.name if identity.signed_in_by != "none" else None,
            signed_in=identity.signed_in_by != "none",
            by=by,
            identity=identity,
        )


class TokenArguments(Arguments):
    name: AccountName = Field(description="What the key is called in lists.", json_schema_extra={"short": "n"})
    scope: Patterns = Field(
        default_factory=list, description="Commands with dots that the key is bound to; without any, all you may do."
    )
    days: int | None = Field(default=None, ge=1, le=3650, description="How long it is good; without it until deleted.")


class MakeToken(CommandHandler[TokenArguments, ApiKeyMade]):
    """Make an API key for a program, which has it in NEXUS_TOKEN. This answer is the one time that it is told."""

    path = ("settings", "auth", "token")
    arguments = TokenArguments
    result = ApiKeyMade
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = WRITING
    examples = (
        Example(
            line="nexus settings auth token --name ci --scope agent.project.list --days 90 --dry-run",
            shows="A key that lists projects",
        ),
    )

    async def execute(self, context: ExecutionContext[TokenArguments]) -> ApiKeyMade:
        given = context.args
        body = NewApiKey(name=given.name, scopes=given.scope, days=given.days)
        return await context.api.post("/api/auth/keys", ApiKeyMade, body=body)


class ApproveArguments(Arguments):
    code: str = Field(min_length=8, max_length=20, description="The code that the device shows.")
    deny: bool = Field(default=False, description="Turn the device away.")


class Approve(CommandHandler[ApproveArguments, DeviceApproved]):
    """Let a device sign in as you, by the code that it shows; or turn it away."""

    path = ("settings", "auth", "approve")
    arguments = ApproveArguments
    result = DeviceApproved
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = (*WRITING, NotFound)
    examples = (Example(line="nexus settings auth approve --code BCDF-GHJK --dry-run", shows="Let a device in"),)

    async def execute(self, context: ExecutionContext[ApproveArguments]) -> DeviceApproved:
        given = context.args
        body = DeviceApproval(user_code=given.code, deny=given.deny)
        return await context.api.post("/api/auth/devices", DeviceApproved, body=body)


def server_of(context: ExecutionContext[Any]) -> str | None:
    """Return the server that the command speaks to."""
    return context.sessions.server if context.sessions is not None else None


def sign_ins(context: ExecutionContext[Any]) -> SignIns:
    """Return what the caller signs in by."""
    if context.sign_ins is None:
        raise LookupError("the dispatcher gives sign-ins to the commands of settings")
    return context.sign_ins


def _local(context: ExecutionContext[Any]) -> SignedIn:
    return SignedIn(server=None, profile=sign_ins(context).current, user="owner", signed_in=True, by="socket")


def _told(profile: Profile) -> SignedIn:
    place: CredentialPlace = profile.credentials or "file"
    return SignedIn(server=profile.server, profile=profile.name, user=profile.user, signed_in=True, by=place)


def _name(username: str | None) -> str:
    if not username:
        raise ValidationError.because("--username is missing.", field="username")
    return username


async def _with_key(context: ExecutionContext[Any], server: str) -> Profile:
    key = (await secret_given(context, "API key: ", field="token")).strip()
    if not (key.isascii() and key.isprintable()):
        raise ValidationError.because("That is no API key.", field="token_stdin")
    return await sign_ins(context).keep_key(server, key)


async def _as_device(context: ExecutionContext[Any], server: str) -> Tokens:
    async def show(address: str, code: str) -> None:
        if context.tell is not None:
            await context.tell(f"Open {address} and approve the code {code}.")

    return await sign_ins(context).device(server, show)


def _place_of(signing: SignIns, server: str) -> CredentialPlace | None:
    return next((each.credentials for each in signing.list() if each.server == server and each.credentials), None)
