"""Every type, value and key as the pinned Feast itself would write it."""

from __future__ import annotations

import math
import random
import warnings
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from feast import Entity, FeatureView, Field, FileSource
from feast import types as feast_types
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.utils import _convert_arrow_to_proto
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp

from content_signals.features import encode

MOMENT = pa.timestamp("us", "UTC")
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
CASES = {
    "boolean": (pa.bool_(), feast_types.Bool, [True, False, None]),
    "int32": (pa.int32(), feast_types.Int32, [0, 1, -1, 127, 128, 16383, 16384, -(2**31), 2**31 - 1, None]),
    "int64": (pa.int64(), feast_types.Int64, [0, 1, -1, 300, 2**53 + 1, -(2**63), 2**63 - 1, None]),
    "float": (pa.float32(), feast_types.Float32, [0.0, -0.0, 1.5, 3e38, math.nan, math.inf, -math.inf, None]),
    "double": (pa.float64(), feast_types.Float64, [0.0, -0.0, 0.1, 5e-324, math.nan, math.inf, -math.inf, None]),
    "string": (pa.string(), feast_types.String, ["", "a", "é🎧", "مرحبا", "x" * 127, "x" * 20_000, None]),
    "bytes": (pa.binary(), feast_types.Bytes, [b"\0\xff", b"x" * 300, None]),
    "timestamp": (
        MOMENT,
        feast_types.UnixTimestamp,
        [NOON, datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 58, 500_000, UTC),
         datetime(2024, 1, 1, 1, 2, 3, 999_999, UTC), datetime(9999, 12, 31, tzinfo=UTC), None],
    ),
    "booleans": (pa.list_(pa.bool_()), feast_types.Array(feast_types.Bool), [[True, False], [False], [], None]),
    "int32s": (pa.list_(pa.int32()), feast_types.Array(feast_types.Int32), [[0, -1, 2**31 - 1], [0], [], None]),
    "int64s": (pa.list_(pa.int64()), feast_types.Array(feast_types.Int64), [[0, -(2**63)], [5] * 200, [], None]),
    "floats": (pa.list_(pa.float32()), feast_types.Array(feast_types.Float32), [[0.0, 1.5, math.nan], [], None]),
    "doubles": (pa.list_(pa.float64()), feast_types.Array(feast_types.Float64), [[0.0, 1.5], [math.nan], [], None]),
    "strings": (pa.list_(pa.string()), feast_types.Array(feast_types.String), [["", "a", "é" * 100], [""], [], None]),
    "bytes lists": (pa.list_(pa.binary()), feast_types.Array(feast_types.Bytes), [[b"", b"\0\xff"], [], None]),
    "timestamps": (pa.list_(MOMENT), feast_types.Array(feast_types.UnixTimestamp), [[NOON, NOON], [], None]),
}  # fmt: skip
KEYS = ["a", "", "spotify:track:0Z", "é🎧", "k" * 300]


def by_feast(kind: pa.DataType, feast_type: object, value: object, key: str = "a") -> tuple[bytes, bytes]:
    """Key and value of one row, by Feast. A row at a time: beside a null Feast turns long integers into doubles."""
    view = FeatureView(
        name="view",
        entities=[Entity(name="track", join_keys=["track_id"], value_type=ValueType.STRING)],
        schema=[Field(name="track_id", dtype=feast_types.String), Field(name="f", dtype=feast_type)],
        source=FileSource(path="none", timestamp_field="event_ts"),
    )
    row = pa.table({"track_id": [key], "f": pa.array([value], kind), "event_ts": pa.array([NOON], MOMENT)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [(entity, features, _, _)] = _convert_arrow_to_proto(row, view, {"track_id": ValueType.STRING})
    return _redis_key("project", entity), features["f"].SerializeToString()


@pytest.mark.parametrize("name", CASES)
def test_values_are_feasts_bytes(name):
    kind, feast_type, given = CASES[name]
    assert encode.values(pa.array(given, kind)).to_pylist() == [by_feast(kind, feast_type, v)[1] for v in given]


# Feast's way through NumPy makes doubles of whole numbers beside a null; its API for single rows writes a 0.
@pytest.mark.parametrize(
    ("kind", "feast_type", "number", "lists"),
    [
        (pa.string(), feast_types.String, ValueType.STRING_LIST, [["a", None, "b"], [None], ["c"]]),
        (pa.binary(), feast_types.Bytes, ValueType.BYTES_LIST, [[b"a", None, b"b"], [None]]),
        (pa.bool_(), feast_types.Bool, ValueType.BOOL_LIST, [[True, None, True], [None]]),
        (pa.float32(), feast_types.Float32, ValueType.FLOAT_LIST, [[1.5, None], [None]]),
        (pa.float64(), feast_types.Float64, ValueType.DOUBLE_LIST, [[1.5, None], [None]]),
        (MOMENT, feast_types.UnixTimestamp, ValueType.UNIX_TIMESTAMP_LIST, [[NOON, None], [None]]),
        (pa.int32(), None, ValueType.INT32_LIST, [[1, None, -1], [None]]),
        (pa.int64(), None, ValueType.INT64_LIST, [[2**62 + 1], [None, -(2**63)], [None]]),
    ],
    ids=lambda one: one.name if isinstance(one, ValueType) else None,
)
def test_nulls_in_lists(kind, feast_type, number, lists):
    made = encode.values(pa.array(lists, pa.list_(kind))).to_pylist()
    if feast_type is None:
        assert made == [each.SerializeToString() for each in python_values_to_proto_values(lists, number)]
    else:
        assert made == [by_feast(pa.list_(kind), feast_types.Array(feast_type), each)[1] for each in lists]


@pytest.mark.parametrize("name", CASES)
def test_a_column_of_nulls_and_none(name):
    kind, feast_type, _ = CASES[name]
    assert encode.values(pa.array([], kind)).to_pylist() == []
    assert encode.values(pa.array([None] * 3, kind)).to_pylist() == [by_feast(kind, feast_type, None)[1]] * 3


@pytest.mark.parametrize("name", CASES)
def test_a_part_of_a_column_is_encoded_as_if_it_were_whole(name):
    kind, _, given = CASES[name]
    column = pa.array(random.Random(5).choices(given, k=50), kind)
    assert encode.values(column.slice(7, 30)).to_pylist() == encode.values(column).to_pylist()[7:37]


def test_empty_bytes_stay_bytes():
    # Feast writes them so where its batch holds other bytes too, and as null where it does not.
    assert encode.values(pa.array([b""])).to_pylist() == [Value(bytes_val=b"").SerializeToString()]


def test_keys_are_feasts_keys():
    expected = [by_feast(pa.int64(), feast_types.Int64, 1, key)[0] for key in KEYS]
    assert encode.entity_keys(pa.array(KEYS), "track_id", "project").to_pylist() == expected
    assert all(key.startswith(encode.key_prefix("track_id")) for key in expected)


def test_fields_are_feasts_fields():
    assert encode.field_name("track_popularity_v1", "saves_7d") == _mmh3("track_popularity_v1:saves_7d")


def test_times_are_protobufs_timestamps():
    moments = [value for value in CASES["timestamp"][2] if value]
    expected = []
    for moment in moments:
        message = Timestamp()
        message.FromDatetime(moment)
        expected.append(message.SerializeToString())
    assert encode.times(pa.array(moments, MOMENT)).to_pylist() == expected


@pytest.mark.parametrize("kind", [pa.date32(), pa.decimal128(10, 2), pa.list_(pa.list_(pa.int64())), pa.int8()])
def test_other_types_are_refused(kind):
    assert not encode.encodable(kind)
    with pytest.raises(TypeError, match="has no encoding"):
        encode.values(pa.array([None], kind))
