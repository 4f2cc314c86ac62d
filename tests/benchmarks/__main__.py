"""`python -m tests.benchmarks [--quick] [--profile] [NAME …]`: run programs, print and write what they found."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from . import figures

PROGRAMS = ("notification", "registration", "handshake", "memory", "start")


def main() -> int:
    """Run the one program that is named here; several, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}; all without a name")
    parser.add_argument("--quick", action="store_true", help="hardly measure: only see that everything works")
    parser.add_argument("--profile", action="store_true", help="notification: where the time goes, in place of ratios")
    options = parser.parse_args()
    names = options.names or list(PROGRAMS)
    if unknown := set(names) - set(PROGRAMS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if len(names) > 1:
        flags = [flag for flag in sys.argv[1:] if flag.startswith("--")]
        return max([subprocess.call([sys.executable, "-m", "tests.benchmarks", name, *flags]) for name in names])
    name = names[0]
    program = importlib.import_module(f".{name}", __package__)
    print(f"{name}: measuring ...", file=sys.stderr, flush=True)
    if options.profile:
        for found in program.main(profile=True)["formats"].values():
            print(found["profile"])
        return 0
    found = program.main(quick=options.quick)
    rows = program.table(found)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print("\n" + str(program.__doc__).splitlines()[0])
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print(f"  {figures.write(f'benchmark_{name}' + ('_quick' if options.quick else ''), found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
