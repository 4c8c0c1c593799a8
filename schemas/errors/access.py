"""Errors of who asks: not signed in, or known and not allowed."""

from typing import Any

from nexus.schemas.errors.error import NexusError


class AuthError(NexusError):
    """The server wants you to sign in."""

    type = "auth"
    code = "AUTHENTICATION_REQUIRED"
    exit_status = 3
    sentence = "{server} wants you to sign in."
    hint = "nexus settings auth login"


class AuthInvalid(AuthError):
    """The credentials are not valid, or not any more."""

    code = "AUTHENTICATION_INVALID"
    sentence = "{reason}"

    def __init__(self, *, reason: str = "The credentials are not valid, or not any more.", **data: Any) -> None:
        super().__init__(reason=reason, **data)


class TokenExpired(AuthInvalid):
    """The access token's time is over; a refresh token gives another."""

    code = "TOKEN_EXPIRED"

    def __init__(self, *, reason: str = "The access token has expired.", **data: Any) -> None:
        super().__init__(reason=reason, **data)


class AiKeyMissing(AuthError):
    """`variable` is the environment variable that holds the key of the back end."""

    code = "AI_KEY_MISSING"
    sentence = "The back end {backend} wants a key, and {variable} is not set."
    hint = "Set {variable} in your environment; the key is used for the one command and not kept."


class AiKeyRefused(AuthError):
    """A model's provider refused the key in `variable`."""

    code = "AI_KEY_REFUSED"
    sentence = "The back end {backend} does not take the key in {variable}."
    hint = "Set {variable} to a key that is valid there."


class AiSignInRequired(AuthError):
    """A coding agent is not signed in with its provider."""

    code = "AI_SIGN_IN_REQUIRED"
    sentence = "The coding agent {backend} wants you to sign in."
    hint = "Run {program} once in a terminal and sign in, or set its key in your environment."


class PermissionDenied(NexusError):
    """You are known, and may not do this."""

    type = "permission"
    code = "PERMISSION_DENIED"
    exit_status = 3
    hint = "nexus help"


class VaultDenied(PermissionDenied):
    """The Vault knows the kernel, and its policies do not let it do this; `path` is where."""

    code = "VAULT_DENIED"
    sentence = "The Vault at {url} does not let the kernel {what} {path}."
    hint = "Grant it in a policy of the kernel's token or role: vault policy write NAME FILE, or bao policy write"


class RegistrationClosed(PermissionDenied):
    """The server takes no registrations: somebody who may makes your account."""

    code = "REGISTRATION_CLOSED"

    def __init__(self, *, reason: str = "This server is closed to registration.", **data: Any) -> None:
        super().__init__(reason=reason, **data)

    hint = "nexus help settings user create"


class UrlRefused(PermissionDenied):
    """A signed URL is not what was signed: changed, or for another method."""

    code = "URL_REFUSED"
    sentence = "The URL was not signed by this kernel for this use."
    hint = "nexus help data dataset pull"


class UrlExpired(UrlRefused):
    """A signed URL's time is over."""

    code = "URL_EXPIRED"
    retryable = True
    sentence = "The URL was good until {expired_at}."


class PluginUntrusted(PermissionDenied):
    """A project's plugin runs only after it was trusted, as it is now: `plugin` is its name."""

    code = "PLUGIN_UNTRUSTED"
    sentence = "The plugin {plugin} is not trusted{since}."
    hint = "nexus settings plugin trust --name {plugin}"


class PluginRightMissing(PermissionDenied):
    """A plugin did what it has no right to; `right` is what its manifest must ask for and you must grant."""

    code = "PLUGIN_RIGHT_MISSING"
    hint = "nexus settings plugin list"
