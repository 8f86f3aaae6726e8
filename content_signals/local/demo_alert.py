"""`make demo-alert`: a day broken on purpose, the alert arriving in a mailbox and at a webhook; then the day mended.

The catalogue's sender changes the unit of a column from one day to the next, as happens: lengths come in milliseconds.
Everything is made in a folder of its own, and the jobs are processes, started as an engineer starts them.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from collections.abc import Iterator
from datetime import date
from email.message import EmailMessage
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from content_signals.day import days_until_yesterday
from content_signals.errors import BROKEN_DATA, OK, SignalsError
from content_signals.local.alert_sinks import ADDRESS, MailSink, WebhookSink, text_of, wait_until
from content_signals.local.job_process import JobFailed, run_job
from content_signals.local.landing import generate_landing
from content_signals.settings import Settings, load_settings

SOURCE, TABLE = "catalogue_tracks_v1", "track_title_v1"
HISTORY_DAYS = 8  # rules against history judge from seven days on
SEED = 1
TRACKS = 2000


class Demo:
    """A platform of its own, its two channels, and what arrived on them."""

    def __init__(self, settings: Settings, mail: MailSink, hook: WebhookSink, console: Console) -> None:
        home = Path(settings.var) / "demo-alert"
        shutil.rmtree(home, ignore_errors=True)
        places = {name: str(home / name) for name in ("landing", "lake", "var")}
        self.settings = settings.model_copy(update={**places, "alert_urls": (SecretStr(mail.url), SecretStr(hook.url))})
        self.mail, self.hook, self.console, self.log = mail, hook, console, home / "jobs.log"
        self.shown = 0

    def run(self, job: str, *arguments: str) -> int:
        """Run a job; its exit code: 0, or that of broken data, which is what is shown here."""
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # all of it is in the log
                report = run_job(self.settings, job, *arguments, log=self.log)
        except JobFailed as failed:
            if failed.exit_code != BROKEN_DATA:
                raise SignalsError(failed.what, next_step=f"read the end of {self.log}") from None
            return BROKEN_DATA
        return int(report.get("exit_code", OK))  # a day that was stopped is in the report, and no error of the job

    def day(self, day: date) -> int:
        """Take a day from the landing file to its verdict; the exit code of validate."""
        for job, name in (("ingest_source", f"--source={SOURCE}"), ("extract_signals", f"--table={TABLE}")):
            if self.run(job, name, f"--day={day}"):
                raise SignalsError(f"{job} stopped {day}, which was not meant", next_step=f"read the end of {self.log}")
        return self.run("validate_signals", f"--table={TABLE}", f"--day={day}")

    def arrived(self, wanted: int) -> None:
        """Show what has arrived since the last time.

        Raises:
            SignalsError: when that is not `wanted` messages on each channel.
        """
        total = self.shown + wanted
        wait_until(lambda: len(self.mail.mails) >= total and len(self.hook.posts) >= total)
        mails, posts = self.mail.mails[self.shown :], self.hook.posts[self.shown :]
        if not len(mails) == len(posts) == wanted:
            raise SignalsError(
                f"{len(mails)} mails and {len(posts)} webhook calls arrived, {wanted} of each were due",
                next_step=f"read the end of {self.log}",
            )
        self.shown = total
        if not wanted:
            self.console.print("  [green]nothing arrived[/green]")
        for mail, (_, post) in zip(mails, posts, strict=True):
            self.console.print(_mail_panel(mail))
            fields = json.dumps({name: value for name, value in post.items() if name != "message"}, indent=1)
            self.console.print(Panel(escape(fields), title="webhook: POST (message: as the mail's text)", style="cyan"))


def run_demo_alert(settings: Settings, console: Console) -> None:
    """Break a day, show the alert, judge the day again, mend it, show the one line."""
    started = time.monotonic()
    *earlier, day = days_until_yesterday(HISTORY_DAYS + 1)
    with MailSink() as mail, WebhookSink() as hook:
        demo = Demo(settings, mail, hook, console)
        console.print(f"A mailbox and a webhook listen on this machine. What the jobs say is in {demo.log}")
        landing = Path(demo.settings.landing)
        generate_landing(landing, days=[*earlier, day], seed=SEED, tracks=TRACKS)
        span = (f"--from={earlier[0]}", f"--to={earlier[-1]}")
        with _step(console, f"{len(earlier)} good days of {TABLE}, to {earlier[-1]}"):
            demo.run("ingest_source", f"--source={SOURCE}", *span)
            demo.run("rebuild_signals", f"--tables={TABLE}", *span)
        demo.arrived(0)
        with _step(console, f"{day}: the sender delivers lengths in milliseconds"), _broken(landing):
            code = demo.day(day)
        console.print(f"  validate_signals ended with exit code {code}; this arrived:")
        demo.arrived(1)
        with _step(console, f"{day}: validated again, as a retry does; told already"):
            demo.run("validate_signals", f"--table={TABLE}", f"--day={day}")
        demo.arrived(0)
        with _step(console, f"{day}: the sender has mended the file; ingested, extracted and validated again"):
            code = demo.day(day)
        console.print(f"  validate_signals ended with exit code {code}; this arrived:")
        demo.arrived(1)
    console.print(f"Done in {time.monotonic() - started:.0f} s. The lake it happened in: {demo.settings.lake}")


@contextlib.contextmanager
def _broken(landing: Path) -> Iterator[None]:
    """The catalogue with its lengths in milliseconds, for a while."""
    file = landing / "playlists" / "tracks.parquet"
    good = pq.read_table(file)
    lengths = pa.array([_milliseconds(text) for text in good["length"].to_pylist()], pa.string())
    pq.write_table(good.set_column(good.schema.get_field_index("length"), "length", lengths), file)
    try:
        yield
    finally:
        pq.write_table(good, file)


def _milliseconds(length: str | None) -> str | None:
    """`3:25` as a sender writes it who has changed the unit: 205000."""
    if not length:
        return length
    *minutes, seconds = length.split(":")
    return str(1000 * (60 * int(minutes[0] if minutes else 0) + int(seconds)))


def _mail_panel(mail: EmailMessage) -> Panel:
    subject = " ".join(str(mail["subject"]).split())
    return Panel(f"[bold]{escape(subject)}[/bold]\n\n{escape(text_of(mail))}", title=f"mail to {ADDRESS}")


@contextlib.contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    console.print(f"{what}: {time.monotonic() - began:.0f} s", highlight=False)


if __name__ == "__main__":
    run_demo_alert(load_settings(), Console(width=None if Console().is_terminal else 120))
