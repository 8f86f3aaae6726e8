"""Every rule that the engines are compared by: name -> (expectation, its arguments).

One table of rules that all give a result, one of those that raise; the rows they judge are in tests/quality_frames.py.
"""

from __future__ import annotations

from tests.quality_cases_columns import COLUMN_CASES, COUNTED, RAISING
from tests.quality_cases_rows import ROW_CASES
from tests.quality_rules import Cases

# Asked together, natively as well.
TOGETHER: Cases = {**ROW_CASES, **COLUMN_CASES}
# Asked together by our engines, natively in two suites: see COUNTED.
CASES: Cases = {**TOGETHER, **COUNTED}
ALL: Cases = {**CASES, **RAISING}
