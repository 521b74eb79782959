"""docs/FEATURE_LIBRARY.md."""

from __future__ import annotations

from pathlib import Path

from daybook.features import catalog
from daybook.features.library import feature_library_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "FEATURE_LIBRARY.md"


def test_the_committed_page_is_the_generated_one():
    assert PAGE.read_text(encoding="utf-8") == feature_library_markdown(), (
        "docs/FEATURE_LIBRARY.md is out of date; write it again: python -c 'from daybook.features.library import "
        "feature_library_markdown as page; print(page(), end=\"\")' > docs/FEATURE_LIBRARY.md"
    )


def test_every_feature_has_one_row():
    rows = [line for line in feature_library_markdown().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(catalog())
    assert all(row.count(" | ") == 6 for row in rows)
