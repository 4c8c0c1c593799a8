"""The keyring, asked in a process of its own: back ends hang where nobody can unlock them, and read the environment.

Run as a program: one JSON object on stdin (`path`, `action`, `account`, `value`), one on stdout.
"""

import json
import sys

SERVICE = "nexus"


def main() -> None:
    """Answer one request."""
    asked = json.load(sys.stdin)  # noqa: TID251 -- a process entry of its own
    sys.path[:0] = asked["path"]
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        raise SystemExit("there is no keyring")
    told: dict[str, str | None] = {"backend": type(backend).__module__}
    account = asked["account"]
    if asked["action"] == "set":
        keyring.set_password(SERVICE, account, asked["value"])
        told["value"] = keyring.get_password(SERVICE, account)
    elif asked["action"] == "get":
        told["value"] = keyring.get_password(SERVICE, account)
    elif keyring.get_password(SERVICE, account) is not None:
        keyring.delete_password(SERVICE, account)
    json.dump(told, sys.stdout)  # noqa: TID251 -- a process entry of its own


if __name__ == "__main__":
    main()
