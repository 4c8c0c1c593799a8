"""Accounts of a server: users, roles, what signs them in, and who a request comes from."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

LEAST_PASSWORD = 10
MOST_PASSWORD = 1024

AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
"""A user's or a role's name: it stands in logs and in headers as it is."""

Pattern = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z-]+(\.([a-z-]+|\*)){0,2}|\*(\.([a-z-]+|\*)){1,2})$")]
"""Command paths with dots: `agent.project.list`; `*` stands for a word, and at the end for all that follows."""

Patterns = Annotated[list[Pattern], Field(max_length=200)]
Password = Annotated[str, StringConstraints(min_length=LEAST_PASSWORD, max_length=MOST_PASSWORD)]
"""A password to be: one that signs in may be shorter, from before."""

GivenPassword = Annotated[str, StringConstraints(min_length=1, max_length=MOST_PASSWORD)]
SetupToken = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class User(Model):
    """A user. One without a password signs in by API keys only; one who is disabled not at all."""

    id: str
    name: str
    roles: list[str] = Field(default_factory=list)
    disabled: bool = False
    has_password: bool = True
    created_at: Timestamp
    updated_at: Timestamp


class GrantedUser(User):
    """A user behind a grant; `changed` names what it made different, and is None where an older server answers."""

    changed: list[str] | None = None


class UserQuery(PageQuery):
    name: str | None = None


class NewUser(StrictModel):
    name: AccountName
    password: Password | None = Field(default=None, repr=False)
    roles: list[AccountName] = Field(default_factory=list, max_length=50)


class UserChanges(StrictModel):
    """What is left out stays as it is. Another password, or `disabled`, ends all that the user signed in with."""

    name: AccountName | None = None
    password: Password | None = Field(default=None, repr=False)
    disabled: bool | None = None


class RoleGrant(StrictModel):
    """A role, by its name."""

    role: AccountName


class Role(Model):
    """What its users may do. A built-in role is as it is."""

    id: str
    name: str
    description: str | None = None
    patterns: list[str]
    built_in: bool = False
    users: int = 0
    created_at: Timestamp
    updated_at: Timestamp


class GrantedRole(Role):
    """A role that grants more or less than before; `changed` as of `GrantedUser`."""

    changed: list[str] | None = None


class RoleQuery(PageQuery):
    name: str | None = None


class NewRole(StrictModel):
    name: AccountName
    description: str | None = Field(default=None, max_length=1000)
    patterns: Patterns = Field(default_factory=list)


class RoleChanges(StrictModel):
    """What is left out stays as it is."""

    name: AccountName | None = None
    description: str | None = Field(default=None, max_length=1000)
    patterns: Patterns | None = None


class PatternGrant(StrictModel):
    """Command patterns to grant, or to revoke."""

    patterns: Patterns = Field(min_length=1)


class Login(StrictModel):
    name: str = Field(min_length=1, max_length=64)
    password: GivenPassword = Field(repr=False)


class Registration(StrictModel):
    """Opens an account. `setup_token` is what the first `nexus serve` printed: with it the account is an admin's."""

    name: AccountName
    password: Password = Field(repr=False)
    setup_token: SetupToken | None = Field(default=None, repr=False)


class PasswordChange(StrictModel):
    """Another password for who asks, who knows the current one."""

    current: GivenPassword = Field(repr=False)
    password: Password = Field(repr=False)


class Refresh(StrictModel):
    refresh_token: str = Field(min_length=1, max_length=400, repr=False)


class SignOut(StrictModel):
    """Without a token, what the request itself was signed in by is ended."""

    refresh_token: str | None = Field(default=None, max_length=400, repr=False)


class SignedOut(Model):
    ended: int = Field(description="How many sign-ins were ended.")


class Tokens(Model):
    """A short access token for `Authorization: Bearer`, and a refresh token that is good for one more pair."""

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the name that RFC 6750 gives it
    expires_in: int = Field(description="Seconds for which the access token is good.")
    user: str


class Identity(Model):
    """Who a request comes from, and what it may do."""

    name: str
    user_id: str | None = None
    signed_in_by: Literal["socket", "token", "key", "none"]
    roles: list[str] = Field(default_factory=list)
    patterns: list[str] = Field(default_factory=list)
    scopes: list[str] | None = None


class NewApiKey(StrictModel):
    """`scopes` are command patterns that bound what the key may do; without any it may do what its user may."""

    name: AccountName
    scopes: Patterns = Field(default_factory=list)
    days: int | None = Field(default=None, ge=1, le=3650)


class ApiKey(Model):
    id: str
    name: str
    user: str
    scopes: list[str] | None = None
    created_at: Timestamp
    expires_at: Timestamp | None = None
    last_used_at: Timestamp | None = None


class ApiKeyMade(ApiKey):
    """The one time that the key itself is told."""

    key: str = Field(repr=False)


class DeviceApproval(StrictModel):
    """What a person says of the device that shows this code."""

    user_code: str = Field(min_length=8, max_length=20)
    deny: bool = False


class DeviceApproved(Model):
    client: str
    approved: bool
