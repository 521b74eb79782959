"""The repository keeps its own rules: equal environments, documented surface, a map that is true."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import environment_file  # noqa: E402
import repository_checks  # noqa: E402

SURFACE = {
    "daybook.market": ["read_bars", "synthetic_bars"],
    "daybook.features": ["catalog", "compute"],
    "daybook.strategy": ["parse_spec"],
    "daybook.backtest": ["sweep"],
}
TARGETS = ["setup", "day", "test", "lint", "lab", "bench", "clean"]
TOP_LEVEL = ["notebooks", "lib", "runs", "environment.yml", "run_daily.py", "tests", "requirements.lock", "Makefile"]


def test_environment_yml_names_the_versions_of_the_lock() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == environment_file.environment_text(lock)
    pins = environment_file.locked_pins(lock)
    assert len(pins) > 100
    assert any(pin.startswith("duckdb==1.5.") for pin in pins)


def test_every_locked_package_has_hashes_and_torch_stands_apart() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert not [block.splitlines()[0] for block in blocks if "==" in block.splitlines()[0] and "--hash=" not in block]
    assert not re.search(r"^(torch|nvidia-|triton)", lock, re.MULTILINE)
    assert "index-url" not in lock


def test_the_installed_packages_are_those_of_the_lock() -> None:
    from importlib.metadata import version

    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in ("numpy", "pandas", "papermill", "duckdb", "scikit-learn", "pyarrow"):
        assert re.search(rf"^{name}=={re.escape(version(name))}\b", lock, re.MULTILINE), name


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_top_level_is_the_one_agreed(name: str) -> None:
    assert (ROOT / name).exists()


def test_make_alone_lists_the_targets() -> None:
    command = ["make", "-C", str(ROOT), "--no-print-directory"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert set(TARGETS) <= {line.split()[0] for line in listed.splitlines() if line.strip()}


@pytest.mark.parametrize(("module", "names"), SURFACE.items())
def test_the_stable_names_are_there_and_documented(module: str, names: list[str]) -> None:
    part = importlib.import_module(module)
    for name in names:
        assert name in part.__all__
        assert inspect.getdoc(getattr(part, name)), name


def test_the_stable_options_of_run_daily_are_there() -> None:
    shown = subprocess.run([sys.executable, str(ROOT / "run_daily.py"), "--help"], capture_output=True, text=True,
                           check=True, env={"COLUMNS": "200"}).stdout
    for option in ("--date", "--source", "--candles", "--symbols", "--data", "--runs", "--config", "--seed", "-p",
                   "--resume", "--jobs", "--json"):
        assert f"{option} " in shown or f"{option}\n" in shown, option


def test_the_map_of_the_package_names_every_part() -> None:
    import daybook

    parts = {path.name for path in (ROOT / "lib" / "daybook").iterdir() if (path / "__init__.py").is_file()}
    assert parts == {line.split()[0] for line in (daybook.__doc__ or "").splitlines() if line.startswith("    ")}


@pytest.mark.parametrize(
    ("text", "found"),
    [(b"key = 'sk-ant-" + b"A" * 24 + b"'", "secret"), (b"open('/ro" + b"ot/data/x')", "machine"), (b"fine", "")],
)
def test_the_checks_find_secrets_and_machine_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, found: str
) -> None:
    monkeypatch.setattr(repository_checks, "ROOT", tmp_path)
    path = tmp_path / "file.py"
    path.write_bytes(text)
    problems = repository_checks.content_problems(path)
    assert bool(problems) == bool(found)
    assert found in " ".join(problems)


def test_two_test_modules_of_one_name_are_a_problem() -> None:
    paths = [ROOT / "tests" / folder / name for folder, name in
             (("a", "test_x.py"), ("b", "test_x.py"), ("a", "conftest.py"), ("b", "conftest.py"), ("b", "test_y.py"))]
    told = "tests/b/test_x.py: tests/a/test_x.py has that name too; rename one"
    assert repository_checks.name_problems(paths) == [told]
