"""Labelled sets: which columns of a file are taken for what they are, and which are refused by name."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet
import pytest

from content_signals.errors import UsageError
from content_signals.llm.labelled import ClosedList, LabelledItem, read_labelled

CLOSED = ClosedList(("food", "sport"), 0, 2)
GOOD = {"id": ["a"], "transcript": ["soup"], "labels": [["food"]]}


@pytest.fixture
def read(tmp_path):
    def of(table):
        pa.parquet.write_table(table, tmp_path / "labelled.parquet")
        return read_labelled(tmp_path / "labelled.parquet", CLOSED)

    return of


def column(name, values):
    return pa.table({**GOOD, name: values})


@pytest.mark.parametrize(
    ("table", "name", "labels"),
    [
        (pa.table(GOOD), "a", ("food",)),
        (column("id", [7]), "7", ("food",)),
        (column("labels", ["sport|food"]), "a", ("sport", "food")),
        (column("labels", [["sport", "food"]]), "a", ("sport", "food")),
        (column("labels", [None]), "a", ()),
        (column("labels", [[]]), "a", ()),
        (column("labels", pa.array([["food"]], pa.large_list(pa.large_string()))), "a", ("food",)),
        (column("transcript", pa.array(["soup"], pa.large_string())), "a", ("food",)),
        (column("transcript", pa.array(["soup"]).dictionary_encode()), "a", ("food",)),
    ],
)
def test_texts_are_read_of_whatever_type_they_are(read, table, name, labels):
    assert read(table) == [LabelledItem(name, "soup", labels)]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (column("labels", [5]), "column labels holds int64, not texts or lists of texts"),
        (column("labels", [[5]]), "column labels holds list<.*int64>, not texts or lists of texts"),
        (column("labels", [[True]]), "column labels holds list<.*bool>"),
        (column("labels", [{"x": "food"}]), "column labels holds struct"),
        (column("labels", [b"food"]), "column labels holds binary"),
        (column("transcript", [5]), "column transcript holds int64, not texts"),
        (column("transcript", [b"soup"]), "column transcript holds binary, not texts"),
        (column("transcript", [["soup"]]), "column transcript holds list"),
        (column("id", [b"a"]), "column id holds binary, not texts or whole numbers"),
        (column("id", [1.5]), "column id holds double"),
        (column("transcript", [None]), "a has no transcript"),
        (pa.table(GOOD).append_column("labels", pa.array(["sport"])), "more than one column labels"),
        (pa.table(GOOD).append_column("id", pa.array(["b"])), "more than one column id"),
    ],
)
def test_what_is_none_is_refused_by_its_name(read, table, told):
    with pytest.raises(UsageError, match=told):
        read(table)


def test_a_column_that_stands_twice_in_a_csv_is_refused(tmp_path):
    path = tmp_path / "labelled.csv"
    path.write_text("id,transcript,labels,labels\na,soup,food,sport\n")
    with pytest.raises(UsageError, match="more than one column labels"):
        read_labelled(path, CLOSED)
