"""`python -m nexus`: the same command by another name."""

import sys


def main() -> None:
    """Run the command in argv and end the process."""
    if sys.platform == "win32":
        from nexus.resident.oneshot import main as run_here

        sys.exit(run_here(sys.argv[1:]))
    from nexus.launcher.main import main as launch
    from nexus.start import alone

    launch(__file__.rsplit("/", 2)[0], sys.argv[1:], alone)


if __name__ == "__main__":
    main()
