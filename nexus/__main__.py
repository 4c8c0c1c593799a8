"""`python -m nexus`: the same command by another name."""

import sys


def main() -> None:
    """Run the command in argv and end the process."""
    if sys.platform == "win32":
        sys.exit(told_unsupported())
    from nexus.launcher.main import main as launch
    from nexus.start import alone

    launch(__file__.rsplit("/", 2)[0], sys.argv[1:], alone)


def told_unsupported() -> int:
    """Print the envelope of a platform whose files, locks and terminals are others than ours; return its status."""
    import json
    import secrets
    from datetime import UTC, datetime

    status, sentence = 8, "Nexus runs on Linux and macOS."
    details = {"hint": "Run it in the Windows Subsystem for Linux.", "retryable": False, "exitCode": status}
    envelope = {
        "status": "error",
        "data": None,
        "message": sentence,
        "requestId": f"req_{secrets.token_hex(12)}",
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "errors": [{"type": "session", "code": "RESOURCE_UNAVAILABLE", "message": sentence, "details": details}],
    }
    sys.stdout.write(json.dumps(envelope) + "\n")  # noqa: TID251 -- a process of its own, which nothing else prints in
    return status


if __name__ == "__main__":
    main()
