"""Semantic versions and their ranges, as semver.org orders them and as people write them."""

from itertools import pairwise

import pytest

from nexus.plugins.versions import Range, Version, VersionInvalid

IN_ORDER = (
    "0.0.1", "0.1.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0",
)  # fmt: skip

INSIDE = {
    "*": ("0.0.1", "9.9.9"),
    "^1.2": ("1.2.0", "1.99.0"),
    "^0.2.3": ("0.2.3", "0.2.9"),
    "^0.0.3": ("0.0.3",),
    "~1.2.3": ("1.2.3", "1.2.99"),
    "~1": ("1.0.0", "1.9.9"),
    "1.x": ("1.0.0", "1.9.9"),
    "1.2": ("1.2.0", "1.2.9"),
    ">=1, <2": ("1.0.0", "1.9.9"),
    ">=1 <2 || =3.1.4": ("1.5.0", "3.1.4"),
    ">1.2": ("1.3.0",),
    "<=1.2": ("1.2.9", "0.1.0"),
    "^1.0.0-beta": ("1.0.0-beta", "1.0.0-rc.1", "1.4.0"),
    "!=1.5.0, ^1": ("1.4.0",),
}
OUTSIDE = {
    "^1.2": ("1.1.9", "2.0.0", "2.0.0-rc.1"),
    "^0.2.3": ("0.3.0",),
    "^0.0.3": ("0.0.4",),
    "~1.2.3": ("1.3.0",),
    "1.2": ("1.3.0",),
    ">1.2": ("1.2.9",),
    "<=1.2": ("1.3.0",),
    "^1": ("1.5.0-rc.1",),
    "!=1.5.0, ^1": ("1.5.0",),
}


def test_versions_have_the_order_of_the_specification() -> None:
    versions = [Version.parse(text) for text in IN_ORDER]
    assert all(earlier < later for earlier, later in pairwise(versions))
    assert Version.parse("1.0.0+a") == Version.parse("1.0.0+b")


def test_ranges_hold_what_people_mean_by_them() -> None:
    for text, versions in INSIDE.items():
        for version in versions:
            assert Range.parse(text).holds(Version.parse(version)), (text, version)
    for text, versions in OUTSIDE.items():
        for version in versions:
            assert not Range.parse(text).holds(Version.parse(version)), (text, version)


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "01.2.3", "one", "", "1.2.3-"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(VersionInvalid):
        Version.parse(text)


@pytest.mark.parametrize("text", [">=", "one", "^1 and more", "1.2.3.4.5", "^" + "1" * 300])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(VersionInvalid):
        Range.parse(text)
