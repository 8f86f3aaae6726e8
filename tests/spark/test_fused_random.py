"""Whatever the rows and the rules: our engines give what Great Expectations alone gives."""

from __future__ import annotations

from itertools import count

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from content_signals.lake.session import sized_for
from tests.quality_judged import ENGINES, UNCOMPILED, conf, scanned
from tests.quality_random import Example, examples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2


@pytest.fixture(scope="module")
def written(spark, tmp_path_factory):
    """An example -> its frame and the files it reads, in groups of few rows."""
    home, number = tmp_path_factory.mktemp("random"), count()

    def write(example: Example):
        path = str(home / f"{next(number)}.parquet")
        pq.write_table(example.table(), path, row_group_size=4)
        return spark.read.parquet(path), [path]

    with sized_for(spark, 12), conf(spark, UNCOMPILED):
        yield write


# The same examples every time; an example takes a second, so that looking for a smaller one would take many minutes.
@settings(
    max_examples=16,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(example=examples())
def test_random_rules_on_random_rows_are_judged_as_natively(written, example):
    frame, files = written(example)
    cases = {f"{number} {kind}": (kind, kwargs) for number, (kind, kwargs) in enumerate(example.rules)}
    native = scanned(cases, "native", frame)
    for engine in ENGINES:
        found = scanned(cases, engine, frame, files)
        for case, text in native.items():
            assert found[case] == text, (engine, case, example.columns)
