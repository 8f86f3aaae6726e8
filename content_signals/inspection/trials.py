"""A trial, as the command line shows it."""

from __future__ import annotations

from typing import Any

from content_signals.pipeline.trial import Trial


def trial_record(trial: Trial) -> dict[str, Any]:
    """Rows, verdict, difference to live, and some rows."""
    difference = trial.difference
    return {
        "rows": trial.rows,
        "verdict": trial.verdict.outcome,
        "rules": trial.verdict.rules,
        "failed_rules": [str(failure) for failure in trial.verdict.failures],
        "live": "the day is not promoted: nothing to compare with"
        if difference is None
        else f"{difference.live_rows} rows",
        "keys_added": None if difference is None else difference.added,
        "keys_removed": None if difference is None else difference.removed,
        "values_changed": None if difference is None else difference.changed or "none",
        "examples": [
            {"column": name, **{f"row {n}": row[name] for n, row in enumerate(trial.examples, 1)}}
            for name in (trial.examples[0] if trial.examples else ())
        ],
    }
