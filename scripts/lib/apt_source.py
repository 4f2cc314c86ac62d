"""Print an apt source line for a suite of Debian (by default "testing") at the mirror that this system itself uses.

Runs on the system's own Python (3.9 or newer), before there is any other. Reads one-line (.list) and deb822 (.sources)
files; takes the entry that serves the system's codename and the component main, and is not the security archive.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYRINGS = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")


class Source(NamedTuple):
    """One archive named by the system: the first URI, what it serves, and the keyring named for it ("" for none)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str


def parse_list(text: str) -> Iterator[Source]:
    """Yield the binary-package entries of a one-line file."""
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        match = re.match(r"deb\s+(?:\[([^]]*)]\s+)?(\S+)\s+(\S+)\s*(.*)$", line)
        if match:
            options = dict(part.split("=", 1) for part in (match[1] or "").split() if "=" in part)
            yield Source(match[2], (match[3],), tuple(match[4].split()), options.get("signed-by", ""))


def parse_sources(text: str) -> Iterator[Source]:
    """Yield the enabled binary-package stanzas of a deb822 file, one per URI."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = fields.get(name, "") + "\n" + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
        for uri in fields.get("uris", "").split():
            yield Source(uri, tuple(suites), tuple(components), fields.get("signed-by", "").strip())


def choose(sources: Iterator[Source], codename: str) -> Source | None:
    """Return the archive of the distribution itself: it serves CODENAME (not CODENAME-security) with main."""
    for source in sources:
        if codename in source.suites and "main" in source.components:
            return source
    return None


def main() -> int:
    """Write the line to standard output; 1 and a reason on standard error where this system has none."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE))
    if release.get("ID") != "debian":
        print(f"this is {release.get('ID', 'unknown')}, not Debian", file=sys.stderr)
        return 1
    apt = Path("/etc/apt")
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    found = [source for path in lists if path.is_file() for source in parse_list(path.read_text())]
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        found += parse_sources(path.read_text())
    source = choose(iter(found), release.get("VERSION_CODENAME", ""))
    if source is None:
        print("no apt source of this system serves its own release", file=sys.stderr)
        return 1
    keyrings = [source.signed_by, *(f"/usr/share/keyrings/{name}" for name in KEYRINGS)]
    keyring = next((path for path in keyrings if path.startswith("/") and Path(path).is_file()), "")
    options = f" [signed-by={keyring}]" if keyring else ""
    suite = sys.argv[1] if len(sys.argv) > 1 else "testing"
    print(f"deb{options} {source.uri} {suite} main")
    return 0


if __name__ == "__main__":
    sys.exit(main())
