"""What people read: charts, tables and verdicts for notebooks, report.json, the pages of a run and the site's index."""

from daybook.report import charts, tables
from daybook.report.assets import Assets, install_assets
from daybook.report.compare import Comparison, compare
from daybook.report.document import (
    ReportDocument,
    comparable,
    read_report,
    report_schema,
    validate_report,
    write_report_json,
)
from daybook.report.errors import ReportError
from daybook.report.frames import FrameStyle
from daybook.report.pages import PageFrame, RunFrame, render_page, render_run
from daybook.report.sections import (
    ArchiveRow,
    Changes,
    Curve,
    Focus,
    Gate,
    Headline,
    Metric,
    ModelRow,
    Notice,
    Parameter,
    PoolChange,
    QualityRow,
    RunInfo,
    StepTiming,
    StrategyRow,
    Trials,
)
from daybook.report.site import RunRow, write_index
from daybook.report.tournament import ForwardRow, NullContest, Reading, RejectedRow, RobustnessRow, StateReturn
from daybook.report.verdict import verdict
from daybook.report.views import Chart, Html

__all__ = [
    "ArchiveRow",
    "Assets",
    "Changes",
    "Chart",
    "Comparison",
    "Curve",
    "Focus",
    "ForwardRow",
    "FrameStyle",
    "Gate",
    "Headline",
    "Html",
    "Metric",
    "ModelRow",
    "Notice",
    "NullContest",
    "PageFrame",
    "Parameter",
    "PoolChange",
    "QualityRow",
    "Reading",
    "RejectedRow",
    "ReportDocument",
    "ReportError",
    "RobustnessRow",
    "RunFrame",
    "RunInfo",
    "RunRow",
    "StateReturn",
    "StepTiming",
    "StrategyRow",
    "Trials",
    "charts",
    "comparable",
    "compare",
    "install_assets",
    "read_report",
    "render_page",
    "render_run",
    "report_schema",
    "tables",
    "validate_report",
    "verdict",
    "write_index",
    "write_report_json",
]
