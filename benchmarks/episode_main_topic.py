"""What asking a language model only where the classifier is not sure saves, and how often others agree elsewhere.

    .venv/jobs/bin/python -m benchmarks.episode_main_topic --transcripts transcripts.parquet --cache FOLDER --write

Every episode is judged by a classifier that was fitted and calibrated on others, as by `benchmarks.episode_topics`.
Against it stands the show, a weak label; and with --asked N what SmolLM2-135M on this machine says of N episodes drawn
by the hash of their ids. That model knows nothing about topics: its figures show the way they are made, and no more.
For a real one write its file of an endpoint and name it: --endpoint FILE.

Cost is of what stands before and after the model, for the share that it is asked about; one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.episode_tags_llm import cost_of, of_model
from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.inspection.evaluation import run_from
from content_signals.inspection.routing import routing
from content_signals.llm.endpoint import Endpoint
from content_signals.llm.failure import Retry
from content_signals.llm.ledger.limits import Breaker, Budget, Limits, Rules
from content_signals.llm.ledger.store import LedgerAt
from content_signals.llm.outcome import Status
from content_signals.llm.request import Item
from content_signals.llm.router import Case
from content_signals.llm.run import Run
from content_signals.signals.episode_main_topic.compute import task
from content_signals.signals.episode_main_topic.contract import SURE_FROM
from tests.llm_server import model_path, model_server
from tools.topics.corpus import Episode, Vectors, read_episodes
from tools.topics.fit import fitted, splits
from tools.topics.train import LEAST_EPISODES

COMMAND = "python -m benchmarks.episode_main_topic --transcripts transcripts.parquet --cache FOLDER --asked 60 --write"
MEASURED = PACKAGE / "signals" / "episode_main_topic" / "measured.json"
TOLD = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
AGREEMENT = 0.95
LEAST_ANSWERS = 20  # good ones, for a share of them to say anything


def opinions(episodes: Sequence[Episode], vectors: Vectors) -> list[tuple[list[str], list[float]]]:
    """Of each episode the topics, the likeliest first, and their probabilities, by the fold that judges it."""
    labels, groups = [one.show for one in episodes], [one.sha256 for one in episodes]
    directions = vectors.directions(episodes)
    found: list[tuple[list[str], list[float]]] = [([], [])] * len(episodes)
    for split in splits(labels, groups):
        model = fitted(directions, labels, split, groups)
        for place, told in zip(split.judge, model.probabilities(directions[split.judge]), strict=True):
            order = np.argsort(-told, kind="stable")
            found[place] = [model.labels[n] for n in order], [float(told[n]) for n in order]
    return found


def answers(episodes: Sequence[Episode], endpoint: Path | None) -> tuple[dict[str, str], str, str]:
    """What a model says of each episode's main topic, by the episode's id, where its answer is good.

    Returns:
        These topics, the model's name, and how many answers are good or what is wrong with them, in words.
    """
    items = {one.episode_id: Item(one.sha256, one.transcript) for one in episodes}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        if endpoint:
            run = run_from(endpoint, task())
        else:
            run = _of_this_machine(running.enter_context(model_server()), folder)
        outcomes = {item.content_id: outcome for item, outcome in of_model(list(items.values()), run)}
    statuses = Counter(str(outcome.status) for outcome in outcomes.values())
    good: dict[str, str] = {}
    for name, item in items.items():
        outcome = outcomes[item.content_id]
        if outcome.status is Status.OK and outcome.answer:
            good[name] = outcome.answer["topic"]["label"]
    return good, run.identity.model, ", ".join(f"{count} {status}" for status, count in statuses.most_common())


def _of_this_machine(url: str, folder: str) -> Run:
    rules = Rules(Limits(concurrency=1), Budget(name="benchmark"), Breaker())
    endpoint = Endpoint(base_url=url, weights=model_path().name, call_seconds=900, stall_seconds=900)
    return Run(task(), endpoint, rules, Retry(attempts=1), LedgerAt(path=f"{folder}/ledger.sqlite"))


def in_words(found: dict[str, Any], others: str) -> list[dict[str, str]]:
    """Some thresholds as lines of `measured.json`."""
    lines = []
    for row in found["thresholds"]:
        if row["sure_from"] in TOLD:
            agreed = "" if row["agreement"] is None else f"; {row['agreement']:.3f} agree (95 % {row['agreement_95']})"
            lines.append(
                {
                    "what": f"sure from {row['sure_from']}: calls saved, and {others}",
                    "value": f"{row['calls_saved']:.3f}{agreed}",
                    "on": f"{found['episodes']} episodes",
                }
            )
    return lines


def asked_about(
    episodes: Sequence[Episode], told: Mapping[str, tuple[list[str], list[float]]], endpoint: Path | None
) -> list[dict[str, str]]:
    """Calls saved against the agreement with a model's answers, as lines of `measured.json`."""
    said, model, statuses = answers(episodes, endpoint)
    lines = [{"what": f"answers of {model}", "value": statuses, "on": f"{len(episodes)} episodes"}]
    if len(said) < LEAST_ANSWERS:
        return lines
    right = sum(said.get(one.episode_id) == one.show for one in episodes)
    value = f"{right} of {len(said)} good answers"
    lines.append({"what": f"{model} says the show", "value": value, "on": f"{len(episodes)} episodes"})
    cases = [Case(*told[name], topic) for name, topic in said.items()]
    return lines + in_words(routing(cases, AGREEMENT), f"{model}, where its answer is good")


def cost_of_asking(episodes: Sequence[Episode]) -> float:
    """CPU seconds an episode that is asked about, the model's own left out."""
    run = _of_this_machine("http://127.0.0.1:9/v1", tempfile.gettempdir())
    return sum(cost_of([Item(one.sha256, one.transcript) for one in episodes], run, _answer))


def _answer(text: str) -> str:
    words = text[len(text) // 2 : len(text) // 2 + 400].split()
    return json.dumps({"topic": {"quote": " ".join(words[1:12])[:250], "label": "gotime"}})


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: show, episode_id, transcript")
    parser.add_argument("--cache", type=Path, required=True, help="folder in which chunk vectors are kept")
    parser.add_argument("--every", type=int, default=16, help="each so-manieth chunk of an episode is embedded")
    parser.add_argument("--asked", type=int, default=0, help="so many episodes a model is asked about")
    parser.add_argument("--endpoint", type=Path, help="file of its endpoint; default: SmolLM2 on this machine")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    episodes = read_episodes(given.transcripts, LEAST_EPISODES)
    found = opinions(episodes, Vectors(given.cache, every=given.every))
    told = {one.episode_id: opinion for one, opinion in zip(episodes, found, strict=True)}
    of_shows = routing([Case(*told[one.episode_id], one.show) for one in episodes], AGREEMENT)
    quality = in_words(of_shows, "the show, a weak label")
    drawn = sorted(episodes, key=lambda one: hashlib.sha256(one.episode_id.encode()).hexdigest())
    if given.asked:
        quality += asked_about(drawn[: given.asked], told, given.endpoint)
    asked = next(1 - row["calls_saved"] for row in of_shows["thresholds"] if row["sure_from"] == SURE_FROM)
    cpu = asked * cost_of_asking(drawn[:200])
    measured = {
        "command": COMMAND,
        "machine": "{processor}, {cores} cores, Python {python}".format(**machine()),
        "quality": quality,
        "cost": {"rows_per_cpu_second": round(1 / cpu, 1), "core_hours_per_100_million": round(1e8 * cpu / 3600)},
    }
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
