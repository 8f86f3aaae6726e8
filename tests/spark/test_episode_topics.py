"""Topics of episodes in Spark: whatever the order and number of files, and of vectors of one model alone."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from content_signals.errors import BrokenData
from content_signals.models.minilm import embed
from content_signals.models.topics import topic_manifest, topic_model
from content_signals.quality.suite import read_suite
from content_signals.signals.episode_topics.compute import compute
from content_signals.signals.episode_topics.contract import EPISODE_TOPICS_V1

pytestmark = pytest.mark.spark

DAY, NEXT_DAY, OTHER_DAY = date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)
SCHEMA = (
    "ds date, episode_id string, chunk_index int, start_char int, end_char int, text string, "
    "embedding array<float>, model string"
)
# Each: index, where it starts, text. The second chunks repeat the end of the first.
ABOUT_GO = [
    (0, 0, "**Ada:** A goroutine blocks on the channel. The compiler knows goroutine and channel."),
    (
        1,
        44,
        "The compiler knows goroutine and channel. The runtime moves the goroutine. A channel closes to the compiler.",
    ),
]
ABOUT_MODELS = [
    (0, 0, "**Bob:** The transformer was trained on embeddings. Tensorflow ran the transformer."),
    (1, 52, "Tensorflow ran the transformer. Embeddings are vectors. Embeddings cost nothing."),
]


def rows_of(day, episode, chunks, model=None):
    vectors = embed([text for _, _, text in chunks]).tolist()
    return [
        (day, episode, index, start, start + len(text), text, vector, model or topic_manifest().embedding_model)
        for (index, start, text), vector in zip(chunks, vectors, strict=True)
    ]


ROWS = [
    *rows_of(DAY, "go", ABOUT_GO), *rows_of(DAY, "models", ABOUT_MODELS),
    *rows_of(NEXT_DAY, "go", ABOUT_GO[:1]), *rows_of(OTHER_DAY, "go", ABOUT_GO),
]  # fmt: skip


def told(spark, rows, partitions=1):
    chunks = spark.createDataFrame(rows, SCHEMA).repartition(partitions)
    return {(row.ds, row.episode_id): row for row in compute({"episode_chunks_v1": chunks}, [DAY, NEXT_DAY]).collect()}


@pytest.fixture(scope="module")
def found(spark):
    return told(spark, ROWS)


def test_every_episode_of_the_days_has_one_row(found):
    assert set(found) == {(DAY, "go"), (DAY, "models"), (NEXT_DAY, "go")}


def test_probabilities_are_those_of_the_classifier_by_hand(found):
    model = topic_model()
    for (day, episode), row in found.items():
        vectors = np.array([r[6] for r in ROWS if (r[0], r[1]) == (day, episode)])
        mean = vectors.mean(axis=0)
        scores = np.exp((model.weights @ (mean / np.linalg.norm(mean)) + model.bias) / model.temperature)
        expected = dict(zip(model.labels, scores / scores.sum(), strict=True))
        assert row.probabilities == pytest.approx([expected[topic] for topic in row.topics])
        assert row.probabilities == sorted(row.probabilities, reverse=True)
        assert sum(row.probabilities) == pytest.approx(1)
        assert set(row.topics) == set(model.labels)
        assert (row.topic, row.topic_probability) == (row.topics[0], row.probabilities[0])


def test_top_terms_are_said_often_and_rarely_elsewhere_and_an_overlap_counts_once(found):
    # Said: goroutine 3, channel 3, compiler 2 times, the last 3 times were the overlap counted twice.
    rarity = topic_model().rarity
    often = [term for term in ("goroutine", "channel") if term in rarity]
    assert often
    assert "compiler" in rarity
    assert found[DAY, "go"].top_terms == sorted(often, key=lambda term: -rarity[term])
    assert found[NEXT_DAY, "go"].top_terms == []


def test_the_order_of_rows_and_files_changes_nothing(spark, found):
    assert told(spark, ROWS[::-1], partitions=3) == found


def test_vectors_of_another_model_are_refused(spark):
    with pytest.raises(BrokenData, match="column model has 'other:1'"):
        told(spark, [*ROWS, *rows_of(DAY, "new", ABOUT_GO, model="other:1")])


def test_columns_have_the_types_of_the_contract(spark):
    schema = compute({"episode_chunks_v1": spark.createDataFrame(ROWS, SCHEMA)}, [DAY]).schema
    types = {field.name: field.dataType.simpleString() for field in schema}
    assert types == {"ds": "date", "episode_id": "string", **{c.name: c.type for c in EPISODE_TOPICS_V1.computed}}


def test_the_suite_knows_the_topics_and_the_model():
    sets = {
        rule["kwargs"]["column"]: rule["kwargs"]["value_set"]
        for rule in read_suite("episode_topics_v1")["expectations"]
        if "value_set" in rule["kwargs"]
    }
    assert sets == {"topic": sorted(topic_model().labels), "model": [topic_manifest().model]}
