"""What ruff does not see: notebooks without outputs, no secret, no path of a machine, no large file, no name twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST_BYTES = 1_000_000
_SECRET = re.compile(
    rb"sk-ant-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----|\b\d{8,10}:[A-Za-z0-9_-]{35}\b"
)
_MACHINE = re.compile(rb"(?<![\w.])/(?:root|home/\w+|work/main|Users/\w+)/|files\.pythonhosted|registry\.npmjs")
_SKIP_MACHINE = {"tools/repository_checks.py"}


def tracked_files() -> list[Path]:
    """Files git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    return sorted({ROOT / name.decode() for name in listed.split(b"\0") if name})


def notebook_problems(path: Path) -> list[str]:
    """Outputs or execution counts in a committed notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    executed = [n for n, cell in enumerate(cells) if cell.get("outputs") or cell.get("execution_count")]
    return [f"{path.name}: cell {n} holds outputs; clear them before committing" for n in executed]


def content_problems(path: Path) -> list[str]:
    """A secret, a path of somebody's machine, or too many bytes."""
    name = path.relative_to(ROOT).as_posix()
    content = path.read_bytes()
    problems = []
    if len(content) > LARGEST_BYTES:
        problems.append(f"{name}: {len(content):,} bytes; at most {LARGEST_BYTES:,} belong in git")
    if (found := _SECRET.search(content)) and not name.startswith("tests/"):
        problems.append(f"{name}: looks like a secret at byte {found.start()}")
    if name not in _SKIP_MACHINE and (found := _MACHINE.search(content)):
        problems.append(f"{name}: a machine's path or host at byte {found.start()}: {found[0].decode()}")
    return problems


def name_problems(paths: list[Path]) -> list[str]:
    """Test modules that share a name: pytest imports them by it, and refuses the second."""
    seen: dict[str, Path] = {}
    problems = []
    for path in paths:
        if not (path.match("*.py") and path.is_relative_to(ROOT / "tests")) or path.name == "conftest.py":
            continue
        first = seen.setdefault(path.name, path)
        if first != path:
            problems.append(f"{path.relative_to(ROOT)}: {first.relative_to(ROOT)} has that name too; rename one")
    return problems


def main() -> int:
    """Print every problem; 1 if there is one."""
    paths = [path for path in tracked_files() if path.is_file()]
    problems = name_problems(paths)
    for path in paths:
        problems += content_problems(path)
        if path.suffix == ".ipynb" and path.is_relative_to(ROOT / "notebooks"):
            problems += notebook_problems(path)
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
