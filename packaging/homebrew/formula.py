"""Writes the Homebrew formula of a release from its bundles: python packaging/homebrew/formula.py --help."""

import argparse
import hashlib
import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).with_name("nexus-cli.rb.in")
PYTHON = "3.13"
"""Homebrew's Python that the bundles' wheels are for."""


def formula(version: str, repository: str, bundles: Path, python: str = PYTHON) -> str:
    """Return the formula's text. Raises `FileNotFoundError` for a bundle that is not in the folder."""
    words = {
        "VERSION": version,
        "REPOSITORY": repository,
        "PYTHON": python,
        "URL": f"https://github.com/{repository}/releases/download/v{version}",
    }

    def word(found: re.Match[str]) -> str:
        name, _, target = found[1].partition(":")
        if name == "SHA256":
            return hashlib.sha256((bundles / f"nexus-cli-{version}-{target}.tar.gz").read_bytes()).hexdigest()
        return words[name]

    return re.sub(r"@([A-Z0-9]+(?::[a-z0-9_-]+)?)@", word, TEMPLATE.read_text("utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="as in the tag, without its v")
    parser.add_argument("repository", help="OWNER/NAME, as GitHub says it")
    parser.add_argument("bundles", type=Path, help="the folder with nexus-cli-VERSION-TARGET.tar.gz")
    options = parser.parse_args()
    sys.stdout.write(formula(options.version, options.repository, options.bundles))


if __name__ == "__main__":
    main()
