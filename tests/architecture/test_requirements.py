"""What the project is built from: pinned by hash, from no particular index, under allowed licences.

It may not install anything or ask the network.
"""

import re
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from tests.support.repository import ROOT, files

LOCKS: Final = ["requirements.txt", "requirements-dev.txt"]

# Written in two halves, because this file is searched as well.
REGISTRY_HOSTS: Final = [
    ".".join(halves)
    for halves in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry.npmjs", "org"),
        ("registry.yarnpkg", "com"),
        ("deb.debian", "org"),
        ("proxy.golang", "org"),
        ("static.crates", "io"),
    ]
]


def pinned(lock: str) -> dict[str, list[str]]:
    """Requirement line -> its hashes."""
    joined = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
    found = {}
    for line in lines:
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        found[requirement] = hashes
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_exact_and_hashed(lock: str) -> None:
    requirements = pinned(lock)
    assert len(requirements) > 20
    for requirement, hashes in requirements.items():
        assert re.fullmatch(r"==[0-9][\w.!+]*", str(Requirement(requirement).specifier))
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"index|find-links|trusted-host|://|file:|^-(e|i|f)\b", text, re.MULTILINE)
    assert not re.search(r"(^|\s)/[a-z]", text), "a path of somebody's machine"


def test_development_adds_to_the_runtime_and_changes_nothing() -> None:
    runtime, development = pinned(LOCKS[0]), pinned(LOCKS[1])
    # Without the markers: a package may be for one platform at run time, for all in development.
    by_name = {each.partition(" ;")[0]: hashes for each, hashes in development.items()}
    for requirement, hashes in runtime.items():
        assert by_name[requirement.partition(" ;")[0]] == hashes


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_file_names_a_package_registry(host: str) -> None:
    naming = [
        str(file)
        for file in files()
        if host in (ROOT / file).read_bytes().decode(errors="replace").lower()
    ]
    assert naming == []


ALLOWED: Final = {
    "apache", "apache 2.0", "apache-2.0", "apache software license",
    "bsd", "bsd 2-clause", "bsd-2-clause", "bsd-3-clause", "bsd license", "0bsd",
    "isc", "isc license (iscl)",
    "mit", "mit-0", "mit license",
    "mpl-2.0", "mozilla public license 2.0 (mpl 2.0)",
    "psf-2.0", "python software foundation license",
}  # fmt: skip
LICENSED_OTHERWISE: Final = dict.fromkeys(
    ("psycopg", "psycopg-binary"),
    "LGPL-3.0: used unmodified, as a separate library that anybody may replace",
)


def licences(package: PackageMetadata) -> set[str]:
    """What a package says of its licence: the expression, else its classifiers, else free text."""
    if "License-Expression" in package:
        expression = package["License-Expression"]
        # Of "A OR B" we take one, of "A AND B" both; asking for all is the stricter reading.
        return {part.strip("() ").lower() for part in re.split(r" (?:OR|AND) ", expression)}
    classifiers = {
        classifier.rpartition(" :: ")[2].lower()
        for classifier in package.get_all("Classifier") or []
        if classifier.startswith("License :: OSI Approved ::")
    }
    text = package["License"].partition("\n")[0] if "License" in package else ""
    return classifiers or {text.lower().removesuffix(" license").strip()}


def installed_here() -> list[str]:
    """The names of the pinned packages that are meant for this platform and Python."""
    requirements = [Requirement(each) for each in pinned(LOCKS[1])]
    return sorted(
        each.name for each in requirements if each.marker is None or each.marker.evaluate()
    )


@pytest.mark.parametrize("name", installed_here())
def test_a_dependency_has_a_licence_we_accept(name: str) -> None:
    package = metadata(name)
    if name in LICENSED_OTHERWISE:
        assert licences(package) == {"lgpl-3.0-only"}
        return
    assert licences(package)
    assert licences(package) <= ALLOWED


def test_the_project_itself_may_not_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in (metadata("sluice").get_all("Classifier") or [])
    assert Path(ROOT / "LICENSE").read_text().startswith("MIT License")
