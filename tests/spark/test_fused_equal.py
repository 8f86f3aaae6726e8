"""Our engines give what Great Expectations alone gives: every expectation of its core, on everything odd in a column.

Whole results are compared, as text: success, counts, percentages, samples, observed values, exceptions.
"""

from __future__ import annotations

import great_expectations.expectations.core as core
import pytest

from content_signals.lake.session import sized_for
from tests.quality_cases import ALL, CASES, COUNTED, TOGETHER
from tests.quality_frames import FILES, NOTHING_KNOWN, SCHEMA
from tests.quality_judged import ENGINES, UNCOMPILED, conf, in_memory, scanned, scanner_of, staged

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2

# Name -> the rows of each file: many, none, and some of which nothing but the key is known.
FRAMES = {"rows": FILES, "empty": [[]], "nothing known": [NOTHING_KNOWN]}
# Of few rows a condition leaves fewer still.
UNCONDITIONAL = {name: case for name, case in CASES.items() if "row_condition" not in case[1]}
CASES_OF = {"rows": CASES, "empty": CASES, "nothing known": UNCONDITIONAL}


@pytest.fixture(scope="module")
def frames(spark, tmp_path_factory):
    with sized_for(spark, 40), conf(spark, UNCOMPILED):
        homes = tmp_path_factory.mktemp("staged")
        yield {name: in_memory(staged(spark, homes / name, SCHEMA, parts)) for name, parts in FRAMES.items()}


@pytest.fixture(scope="module")
def natively(frames):
    """Frame -> what GX alone says of every case."""
    found: dict[str, dict[str, str]] = {name: {} for name in FRAMES}
    for name, (frame, _) in frames.items():
        for suite in (TOGETHER, COUNTED):
            cases = {case: rule for case, rule in suite.items() if case in CASES_OF[name]}
            found[name] |= scanned(cases, "native", frame)
    return found


@pytest.fixture(scope="module", params=ENGINES)
def ours(request, frames):
    """Frame -> what an engine of ours says. One scanner: what it keeps of one frame must fit the next."""
    scanner = scanner_of(CASES, request.param)
    return {name: scanned(CASES, request.param, *frame, scanner=scanner) for name, frame in frames.items()}


def test_every_expectation_of_the_core_is_a_case():
    classes = [one for one in vars(core).values() if isinstance(one, type)]
    types = {one.expectation_type for one in classes}
    # This one has a class that says it is abstract, and GX leaves it out of a suite.
    assert types - {""} == {kind for kind, _ in ALL.values()}


@pytest.mark.parametrize(("frame", "case"), [(frame, case) for frame in FRAMES for case in CASES_OF[frame]])
def test_a_rule_is_judged_as_natively(natively, ours, frame, case):
    assert ours[frame][case] == natively[frame][case]
