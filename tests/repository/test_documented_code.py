"""The Python that README and docs print runs as printed: every block of a page, in order, from an empty folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^\*Not run by the tests: (?P<why>[^\n]+?)\.?\*\n\n)?^```python\n(?P<code>.*?)^```$",
                   re.MULTILINE | re.DOTALL)
HANDED_OVER = ("README.md", "docs/BACKTEST_GUIDE.md", "docs/SCALE_OUT.md")


class Block(NamedTuple):
    """Printed code, the line of its page on which it begins, and why it is not run (empty where it is)."""

    code: str
    line: int
    why: str


def blocks_of(text: str) -> list[Block]:
    """The Python blocks of a page, in order."""
    return [Block(found["code"], text.count("\n", 0, found.start("code")) + 1, found["why"] or "")
            for found in BLOCK.finditer(text)]


def run_blocks(page: str, blocks: list[Block]) -> dict[str, Any]:
    """What the blocks leave behind; an error tells the line of the page."""
    names: dict[str, Any] = {"__name__": "printed"}
    for block in blocks:
        if not block.why:
            exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), names)  # noqa: S102 - it is our own page
    return names


def pages() -> list[str]:
    """Every page that prints Python."""
    texts = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in texts if "```python" in path.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], Path]]:
    """Names and folder that each page's blocks left."""
    found = {}
    for page in pages():
        folder = tmp_path_factory.mktemp("printed")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            blocks = blocks_of((ROOT / page).read_text(encoding="utf-8"))
            found[page] = run_blocks(page, blocks), folder
    return found


def test_every_page_runs_as_printed(left_behind: dict[str, tuple[dict[str, Any], Path]]) -> None:
    assert set(HANDED_OVER) <= left_behind.keys()
    rows = left_behind["README.md"][0]["rows"]
    assert rows["trades"].min() > 0


def test_the_guides_sweep_leaves_files_with_every_row(
    left_behind: dict[str, tuple[dict[str, Any], Path]],
) -> None:
    names, folder = left_behind["docs/BACKTEST_GUIDE.md"]
    files = sorted((folder / "swept").glob("*.parquet"))
    assert len(files) == 2
    assert sum(len(pd.read_parquet(file)) for file in files) == names["found"].simulations > 10_000
    assert len(names["found"].table) == 100


def test_the_guides_processes_find_what_one_thread_finds(
    left_behind: dict[str, tuple[dict[str, Any], Path]],
) -> None:
    from daybook.backtest import sweep
    from daybook.backtest.scale_out_files import load_bars

    names, _ = left_behind["docs/SCALE_OUT.md"]
    alone = sweep(names["spec"], [load_bars(file) for file in names["files"]], names["params"], names["costs"],
                  names["window"])
    pd.testing.assert_frame_equal(names["found"].table, alone, check_exact=True)


def test_only_blocks_that_say_so_are_left_out() -> None:
    left_out = {(page, block.why) for page in pages()
                for block in blocks_of((ROOT / page).read_text(encoding="utf-8")) if block.why}
    assert left_out == {("docs/SCALE_OUT.md", "needs a Dask cluster and a bucket")}


def test_no_printed_block_escapes_the_search() -> None:
    for page in pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        assert len(blocks_of(text)) == len(re.findall(r"^```python", text, re.MULTILINE)), page


def test_a_block_that_fails_is_found_with_its_line() -> None:
    marker = "*Not run by the tests: no.*"
    text = f"A\n\n```python\nfine = 1\n```\n\n{marker}\n\n```python\nlost\n```\n\n```python\nabsent\n```\n"
    blocks = blocks_of(text)
    assert [(block.line, block.why) for block in blocks] == [(4, ""), (10, "no"), (14, "")]
    with pytest.raises(NameError, match="absent") as raised:
        run_blocks("page.md", blocks)
    assert (str(raised.traceback[-1].path), raised.traceback[-1].lineno + 1) == ("page.md", 14)
