"""environment.yml from requirements.lock, so that conda users get the same versions. `--write` renews the file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
_PIN = re.compile(r"^([A-Za-z0-9._-]+==[^ \\]+(?: ; [^\\]+?)?)(?: \\)?$")

_HEADER = """\
# Written by `make lock` from requirements.lock: the same versions for conda users. Do not edit by hand.
name: daybook
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - make
  - pip:
"""


def locked_pins(lock: str) -> list[str]:
    """`name==version ; marker` of every package in the lock, in its order."""
    return [match[1] for line in lock.splitlines() if (match := _PIN.match(line))]


def environment_text(lock: str) -> str:
    """The whole of environment.yml for this lock."""
    pins = [TORCH, *locked_pins(lock)]
    return _HEADER + "".join(f'      - "{pin}"\n' for pin in pins)


def main() -> int:
    """Write environment.yml, or say whether it equals the lock."""
    target = ROOT / "environment.yml"
    text = environment_text((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    if "--write" in sys.argv[1:]:
        target.write_text(text, encoding="utf-8")
        return 0
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        sys.stderr.write("environment.yml differs from requirements.lock. Run: make lock\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
