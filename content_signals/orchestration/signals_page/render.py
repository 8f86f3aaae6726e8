"""Pages out of templates. Everything in them is escaped: keys and rows may hold any text there is."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from content_signals.orchestration.signals_page.links import docs_page, log_page, table_page
from content_signals.orchestration.signals_page.overview import Overview, share, span
from content_signals.orchestration.signals_page.sparkline import Sparkline, sparkline
from content_signals.orchestration.signals_page.status import TableStatus

HERE = Path(__file__).parent
TYPES = {".css": "text/css", ".js": "text/javascript"}
ASSETS = {
    file.name: file.read_bytes() for file in (HERE / "static" / name for name in ("page.css", "page.js", "docs.css"))
}
VERSION = hashlib.sha256(b"".join(ASSETS.values())).hexdigest()[:12]
LONGEST_TEXT = 300

_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
# Nothing from elsewhere, nothing inline: text that got into a page unescaped would still not run.
_OWN = {
    **_COMMON,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
}
# Great Expectations' page has inline styles, and scripts from elsewhere that it can do without. Its text comes from the
# data, so that it is given an origin of its own, no scripts, no forms and no network.
_DOCS = {
    **_COMMON,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
}


def page(request: Request, template: str, *, status: int = 200, bare: bool = False, **context: Any) -> Response:
    """A page of ours; a bare one is without style and script, for whoever may not have them either."""
    root = str(request.scope.get("root_path", ""))
    text = _ENVIRONMENT.get_template(template).render(
        root=root, base=root.rpartition("/")[0], version=VERSION, bare=bare, **context
    )
    return HTMLResponse(text, status, headers=_OWN)


def message(request: Request, text: str, *, status: int = 200) -> Response:
    """A page that only says something."""
    return page(request, "message.html", status=status, bare=status in (401, 403), title="Signals", text=text)


def data_docs(html: bytes) -> Response:
    """A page of Great Expectations, with a style that stands in for those it would load from elsewhere."""
    style = b"<style>" + ASSETS["docs.css"] + b"</style>"
    head, found, rest = html.partition(b"</head>")
    # Without a head it is no page of Great Expectations: still shown, closed in as above.
    return HTMLResponse(head + style + found + rest if found else html, headers=_DOCS)


def asset(name: str) -> Response:
    """A style or a script; its address changes with its content."""
    media = TYPES[Path(name).suffix]
    return Response(ASSETS[name], media_type=media, headers={**_COMMON, "Cache-Control": "private, max-age=86400"})


class Drawings:
    """The sparklines of each table, drawn anew only when its status has been read anew, or with the next day."""

    def __init__(self) -> None:
        self._drawn: dict[str, tuple[TableStatus | None, date, Sparkline, Sparkline]] = {}

    def volume(self, table: Overview) -> Sparkline:
        """Rows a day."""
        return self._of(table)[2]

    def nulls(self, table: Overview) -> Sparkline:
        """Share of nulls a day."""
        return self._of(table)[3]

    def _of(self, table: Overview) -> tuple[TableStatus | None, date, Sparkline, Sparkline]:
        drawn, last = self._drawn.get(table.name), table.window[-1]
        if drawn is None or drawn[0] is not table.status or drawn[1] != last:
            rows = sparkline(f"{table.name}, rows", table.volume(), say=number, marked=table.stopped_days())
            nulls = sparkline(f"{table.name}, share of nulls", table.null_share(), say=share, floor=0.01)
            drawn = self._drawn[table.name] = table.status, last, rows, nulls
        return drawn


def number(value: float | None) -> str:
    """A count with commas; a dash for none."""
    return "–" if value is None else f"{value:,.0f}"


def moment(value: datetime | None) -> str:
    """A time in UTC, to the minute; a dash for none."""
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _span(length: timedelta) -> str:
    """A length of time that no line breaks."""
    return span(length).replace(" ", "\N{NO-BREAK SPACE}")


def clip(value: Any) -> str:
    """Text of any length, cut where it would fill the page."""
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    drawings = Drawings()
    filters = {"number": number, "share": share, "span": _span, "moment": moment, "clip": clip}
    environment.filters.update(filters | {"volume": drawings.volume, "nulls": drawings.nulls})
    environment.globals.update(table_page=table_page, docs_page=docs_page, log_page=log_page)
    return environment


_ENVIRONMENT = _environment()
