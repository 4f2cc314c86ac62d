"""What runs on this machine, for seeing that a stopped program has left nothing."""

from pathlib import Path


def naming(word: object) -> list[str]:
    """Return the command lines of all processes that have a word (a folder, an address) in them."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(word) in command:
            found.append(command)
    return found
