"""The `roadstead` command.

One file a command.  Modules here import only click and the standard library at the top, and the rest of the
house inside the command that needs it: `--help` and `--version` must be quick (a test counts modules).
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program with the arguments of this process, and exit with its code."""
    from roadstead.cli.program import run

    sys.exit(run(sys.argv[1:]))
