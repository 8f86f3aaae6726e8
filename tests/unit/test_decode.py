"""Columns as NumPy, Arrow and Python have them, made when asked for."""

from __future__ import annotations

import pickle
import struct
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from content_signals.features.decode import Column, exactly, values_of

# Kind -> values, and NumPy's own array of them: type, what lies under the mask.
COLUMNS = {
    1: ([b"\0", None], np.array([b"\0", None], object)),
    2: (["é", None], np.array(["é", None], object)),
    3: ([-(2**31), None], np.array([-(2**31), 0], np.int32)),
    4: ([2**63 - 1, None], np.array([2**63 - 1, 0], np.int64)),
    5: ([0.1, None], np.array([0.1, np.nan])),
    6: ([0.5, None], np.array([0.5, np.nan], np.float32)),
    7: ([True, None], np.array([True, False])),
    8: ([-1, None], np.array(["1969-12-31T23:59:59", "NaT"], "datetime64[s]")),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("many", [0, 1, 2])
def test_a_masked_array_is_one_that_numpy_makes(kind, many):
    values, own = COLUMNS[kind]
    column = Column(kind, values[:many])
    made, expected = column.numpy(), np.ma.MaskedArray(own[:many], mask=[False, True][:many])
    assert type(made) is np.ma.MaskedArray
    assert (made.dtype, made.shape, made.hardmask) == (expected.dtype, expected.shape, expected.hardmask)
    assert (made.mask.dtype, made.mask.tolist()) == (np.bool_, expected.mask.tolist())
    assert repr((made.data, made.fill_value)) == repr((expected.data, expected.fill_value))
    assert vars(made).keys() == vars(expected).keys()  # all that numpy keeps of it, privately
    again = pickle.loads(pickle.dumps(made))
    assert again.tolist() == made.copy().tolist() == expected.tolist()
    assert made[::-1].tolist() == expected[::-1].tolist()
    made[:1] = np.ma.masked  # the caller's own: neither the column nor the next array changes
    assert column.numpy().mask.tolist() == expected.mask.tolist()
    assert column.arrow().to_pylist() == column.python()


def test_lists_of_one_length_stay_one_column():
    column = Column(14, [[1, 2], [3, 4], None])
    assert column.numpy().shape == (3,)
    assert column.numpy()[1] == [3, 4]
    assert column.numpy().mask.tolist() == [False, False, True]
    assert column.arrow().equals(pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64())))


def test_moments_are_aware():
    assert Column(8, [-1, None]).python() == [datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), None]


@pytest.mark.parametrize(("kind", "tag"), [(5, b"\x29"), (6, b"\x35")])
def test_a_cell_that_is_no_number_is_an_error(kind, tag):
    form = {5: "<d", 6: "<f"}[kind]
    assert values_of(kind, [tag + struct.pack(form, 0.5), b"", None]).values == [0.5, None, None]
    with pytest.raises(ValueError, match="no number"):
        values_of(kind, [tag + struct.pack(form, 0.5), tag + b"\0"])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([5], 7),
        ([0.5, float("nan")], 7),
        ([True], 4),
        ([["1"]], 14),
        ([[1]], 12),
        ([[True]], 14),
        ([1e300], 6),
        ([1.5], 4),
        ([float("nan")], 4),
        (["1"], 5),
        ([b"1"], 2),
        ([1], 8),
    ],
)
def test_a_value_of_another_kind_is_not_read_as_one(values, kind):
    with pytest.raises((ValueError, pa.ArrowException)):
        exactly(values, kind)


def test_a_value_of_the_kind_keeps_all_it_says():
    before = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    assert exactly([before, None], 8).to_pylist() == [before.replace(microsecond=0), None]
    assert exactly([[before]], 18).type == pa.list_(pa.timestamp("s", "UTC"))
    assert exactly([3.0, None], 4).to_pylist() == [3, None]
    assert exactly([2**63 - 1], 4).to_pylist() == [2**63 - 1]
    assert exactly([1, 2.5], 5).to_pylist() == [1.0, 2.5]
    assert exactly([float("inf"), 0.5], 6).to_pylist() == [float("inf"), 0.5]
    assert exactly([None], 12).type == pa.list_(pa.string())
    assert exactly(pa.array(["é"], pa.string_view()), 2).to_pylist() == ["é"]
    assert exactly(np.array([1, 2]), 14 - 10).to_pylist() == [1, 2]
