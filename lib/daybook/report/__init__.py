"""What people read: charts, tables and verdicts for notebooks, report.json, the pages of a run and the site's index."""

from daybook.report import charts, tables
from daybook.report.document import (
    ReportDocument,
    comparable,
    read_report,
    report_schema,
    validate_report,
    write_report_json,
)
from daybook.report.errors import ReportError
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
from daybook.report.verdict import verdict
from daybook.report.views import Chart, Html
