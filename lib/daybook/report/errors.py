"""The error of this part."""

from __future__ import annotations

from daybook.core.errors import DataError


class ReportError(DataError):
    """A report, table or notebook page that can not be made from what it was given."""
