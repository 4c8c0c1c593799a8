"""A database of a PostgreSQL server: how it is reached, and what it is called where others can read."""

import os
from typing import Any, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_dumps

from nexus.kernel.store.rows import compact_json
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import ConfigInvalid

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
IDLE_SECONDS = 60
"""How long a transaction may do nothing: a kernel that was stopped in a write does not stop the others for ever."""

KEEP_ALIVE = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""Within half a minute it is known, here and there, that the other end has gone without a word."""

SECRETS = frozenset({"password", "sslpassword"})


class Server:
    """Where connections are opened, all alike. `name` is the address without what is secret."""

    def __init__(self, parameters: dict[str, Any], busy_seconds: float) -> None:
        settings = {
            "statement_timeout": STATEMENT_SECONDS * 1000,
            "lock_timeout": int(busy_seconds * 1000),
            "idle_in_transaction_session_timeout": IDLE_SECONDS * 1000,
            "tcp_keepalives_idle": KEEP_ALIVE["keepalives_idle"],
            "tcp_keepalives_interval": KEEP_ALIVE["keepalives_interval"],
            "tcp_keepalives_count": KEEP_ALIVE["keepalives_count"],
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._parameters = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "nexus",
            **KEEP_ALIVE,
            **parameters,
            # What the address says comes last, and wins.
            "options": f"{options} {parameters.get('options') or ''}".strip(),
            "client_encoding": "UTF8",
        }
        self._secrets = [str(parameters[name]) for name in SECRETS if parameters.get(name)]
        self.name = _name(parameters)

    @classmethod
    def at(cls, address: DatabaseAddress, busy_seconds: float) -> Self:
        """Read an address. Raises `ConfigInvalid`, whose words have nothing of it: it may hold a password."""
        parameters = _read(address.url)
        for known in pq.Conninfo.get_defaults():
            keyword, variable = known.keyword.decode(), (known.envvar or b"").decode()
            value = address.environment.get(variable) if variable else None
            if value and keyword not in parameters:
                parameters[keyword] = value
        return cls(parameters, busy_seconds)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection. Raises psycopg's errors."""
        connection = psycopg.connect("", **self._parameters)
        # SQLAlchemy sets it on connections that it opens by itself.
        set_json_dumps(compact_json, connection)
        return connection

    def without_secrets(self, text: str) -> str:
        """Return a text of the server's or the driver's as one line in which no secret stands."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return " ".join(text.split())[:500]


def _read(url: str) -> dict[str, Any]:
    try:
        parameters = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        parameters = {"port": "unreadable"}
    # A password that was not encoded spills into other parts, which are told.
    spilt = "@" in f"{parameters.get('host')}{parameters.get('dbname')}"
    if spilt or not str(parameters.get("port") or "0").replace(",", "").isdigit():
        raise ConfigInvalid.because(
            "The address of the database cannot be read.",
            field="database_url",
            hint="Write it as postgresql://USER@HOST:PORT/NAME, with what is special in a part percent-encoded.",
        )
    return parameters


def _name(parameters: dict[str, Any]) -> str:
    host = parameters.get("host") or parameters.get("hostaddr") or parameters.get("service") or "localhost"
    port = f":{parameters['port']}" if parameters.get("port") else ""
    database = parameters.get("dbname") or parameters.get("user") or ""
    return f"postgresql://{os.fspath(host)}{port}/{database}"
