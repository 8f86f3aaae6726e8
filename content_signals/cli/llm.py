"""Commands about language models: how good one's answers are, and where it need not be asked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from content_signals.cli.common import Json, app

llm_app = typer.Typer(no_args_is_help=True, help="Language models: how good they are, where they save.")
app.add_typer(llm_app, name="llm")


class Judged(StrEnum):
    """What of an answer is judged."""

    TOPICS = "topics"
    AUDIENCE = "audience"
    BRAND_SAFETY = "brand_safety"
    MAIN_TOPIC = "main_topic"


@llm_app.command()
def evaluate(
    labelled: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Parquet: id, transcript, labels (in CSV with | between).")
    ],
    kind: Annotated[Judged, typer.Option("--kind", help="What the labels are of.")] = Judged.TOPICS,
    endpoint: Annotated[
        Path | None, typer.Option("--endpoint", help="File of the endpoint; default: what CONTENT_SIGNALS_LLM names.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write all of it, and each item, into this file as JSON.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask the endpoint about labelled transcripts, and compare: precision, recall, agreement, what it took.

    Pays for calls, within the budget of the endpoint's file; what has been answered before is not asked for again.
    """
    import time

    from content_signals.errors import Temporary, UsageError
    from content_signals.inspection import show
    from content_signals.inspection.evaluation import KINDS, evaluated, record_of, run_from
    from content_signals.llm.labelled import read_labelled
    from content_signals.pipeline.context import to_stderr

    items = read_labelled(labelled, KINDS[kind].closed)
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"{output}: there is no such folder", next_step="name a file in a folder that is there")
    run = run_from(endpoint, KINDS[kind].task())
    found = evaluated(run, kind, items, to_stderr(time.monotonic()))
    record = record_of(found)
    if output is not None:
        output.write_text(_json({**record, "rows": found.rows}), "utf-8")
    show.record(record, json)
    if found.open:
        reasons = sorted({str(row["error"]) for row in found.rows if row["id"] in found.open})
        raise Temporary(
            f"{len(found.open)} of {len(items)} items have no answer yet, and count against the model: {reasons[0]}",
            state="answers that were paid for are kept",
            next_step="run it again: only what is missing is asked for",
        )


@llm_app.command()
def route(
    answered: Annotated[Path, typer.Argument(metavar="FILE", help="Parquet: topics, probabilities, main_topic.")],
    agreement: Annotated[
        float, typer.Option("--agreement", min=0, max=1, help="How often the two have to agree, with 95 % confidence.")
    ] = 0.95,
    json: Json = False,
) -> None:
    """What it saves to ask the model only where the classifier of episode_topics_v1 is not sure. Asks nobody."""
    from content_signals.inspection import show
    from content_signals.inspection.routing import read_cases, routing

    cases, left_out = read_cases(answered)
    show.record(routing(cases, agreement, left_out), json)


def _json(record: object) -> str:
    import json

    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"
