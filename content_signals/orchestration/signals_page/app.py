"""The Signals page as a web app; Airflow's API server mounts it at `/signals`.

Imported by that server alone, on the first request. Routes are plain functions: reading files and the database stays
off the event loop.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException as AnyHttpError

from content_signals.catalog import Catalog, catalog
from content_signals.contract import Source, Table
from content_signals.day import parse_day
from content_signals.errors import UsageError
from content_signals.orchestration.builds import build_of
from content_signals.orchestration.signals_page.access import permitted_dags, signed_in
from content_signals.orchestration.signals_page.overview import IN_NEED, Overview, counts, overview, worst_first
from content_signals.orchestration.signals_page.render import ASSETS, asset, data_docs, message, page
from content_signals.orchestration.signals_page.runs import RunFacts, about_dag, about_run, find_run, judging_task
from content_signals.orchestration.signals_page.status import Aside, DayStatus, Unreadable
from content_signals.orchestration.signals_page.store import Known, LakeFiles, StatusStore
from content_signals.settings import load_settings

NOT_FOUND, UNAUTHORIZED = 404, 401
Contract = Source | Table


class SignalsPage:
    """What the routes share: the tables there are, and what the jobs wrote of them.

    Args:
        sources: names of the sources that land here; none: all there are.
    """

    def __init__(self, tables: Catalog, store: StatusStore, sources: tuple[str, ...] = ()) -> None:
        self.catalog, self.store = tables, store
        shown: tuple[Contract, ...] = (*tables.chosen_sources(sources), *tables.tables)
        self.contracts = {contract.table: contract for contract in shown}

    def find(self, name: str, permitted: frozenset[str]) -> Contract:
        """A table that the user may see.

        Raises:
            HTTPException: 404 when there is none; one that may not be seen is not told from one that does not exist.
        """
        contract = self.contracts.get(name)
        if contract is None or build_of(contract).dag_id not in permitted:
            raise HTTPException(NOT_FOUND, f"There is no table {name[:80]!r} here.")
        return contract

    def visible(self, permitted: frozenset[str]) -> list[Contract]:
        """All tables that the user may see."""
        return [contract for contract in self.contracts.values() if build_of(contract).dag_id in permitted]

    def overview(self, contract: Contract, known: Known | None) -> Overview:
        """What the page says of one table, now and in Airflow's environment."""
        unmet = self.catalog.lacking(contract, os.environ) if isinstance(contract, Table) else ()
        return overview(contract, known, _now(), unmet)

    def day_of(self, contract: Contract, day: date) -> DayStatus:
        """What was written of one day.

        Raises:
            HTTPException: 404 when nothing was, or when it cannot be read.
        """
        try:
            known = self.store.all().get(contract.table)
        except Unreadable as error:
            raise HTTPException(NOT_FOUND, f"{error}.") from error
        if isinstance(known, Unreadable):
            raise HTTPException(NOT_FOUND, f"The status of {contract.table} cannot be read: {known}.")
        status = known.of(day) if known else None
        if status is None:
            raise HTTPException(NOT_FOUND, f"{contract.table} {day} has not been judged, or longer ago than is kept.")
        return status


def _shared(request: Request) -> SignalsPage:
    found: SignalsPage = request.app.state.signals_page
    return found


Shared = Annotated[SignalsPage, Depends(_shared)]
Permitted = Annotated[frozenset[str], Depends(permitted_dags)]


def signals_app() -> FastAPI:
    """The app of this process's settings and of every table there is."""
    settings, found = load_settings(), catalog()
    names = [c.table for c in (*found.sources, *found.tables)]
    return make_app(SignalsPage(found, StatusStore(lambda: LakeFiles.at(settings.lake), names), settings.sources))


def make_app(shared: SignalsPage) -> FastAPI:
    """The app: nothing of it answers anybody who is not signed in."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(signed_in)])
    app.state.signals_page = shared
    app.add_api_route("/", index)
    app.add_api_route("/table/{table}", table_page)
    app.add_api_route("/docs/{table}/{day}", docs_page)
    app.add_api_route("/log/{table}/{day}", log_page)
    app.add_api_route("/dag/{dag_id}", dag_tab)
    app.add_api_route("/run", run_tab)
    app.add_api_route("/static/{name}", static_file)
    app.add_exception_handler(AnyHttpError, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    return app


def index(request: Request, shared: Shared, permitted: Permitted, q: str = "", need: bool = False) -> Response:
    """Every table, those in need first; `q`: only names that contain it, `need`: only those in need."""
    return _list(request, shared, shared.visible(permitted), q=q, need=need)


def table_page(
    request: Request, shared: Shared, permitted: Permitted, table: str, day: str = "", rule: str = ""
) -> Response:
    """One table: its days, and of one day what failed and what was set aside."""
    return _table(request, shared, shared.find(table, permitted), _day(day) if day else None, rule=rule)


def docs_page(shared: Shared, permitted: Permitted, table: str, day: str) -> Response:
    """The Data Docs page of a day, which Great Expectations made."""
    contract, wanted = shared.find(table, permitted), _day(day)
    status = shared.day_of(contract, wanted)
    try:
        found = shared.store.docs(contract.table, wanted, status.docs) if status.docs else None
    except Unreadable as error:
        raise HTTPException(NOT_FOUND, f"The Data Docs of {table} {day} cannot be read: {error}.") from error
    if found is None:
        raise HTTPException(NOT_FOUND, f"{table} {day} has no Data Docs, or they were cleared away.")
    return data_docs(found)


def log_page(request: Request, shared: Shared, permitted: Permitted, table: str, day: str) -> Response:
    """On to the task that judged a day, in Airflow's UI."""
    contract, wanted = shared.find(table, permitted), _day(day)
    run_id = shared.day_of(contract, wanted).run_id
    path = judging_task(contract, run_id) if run_id else ""
    if not path:
        raise HTTPException(
            NOT_FOUND,
            f"No run that Airflow knows judged {table} {day}: run {run_id or 'unknown'} was started by hand, or has"
            f" been cleared away. See: content-signals runs {table} --day {day}",
        )
    return RedirectResponse(_base(request) + path, headers={"Cache-Control": "no-store"})


def dag_tab(request: Request, shared: Shared, permitted: Permitted, dag_id: str) -> Response:
    """The tables of a DAG."""
    if dag_id not in permitted:
        raise HTTPException(NOT_FOUND, f"There is no DAG {dag_id[:80]!r} here.")
    return _tab(request, shared, about_dag(dag_id, shared.catalog), f"DAG {dag_id}", "")


def run_tab(
    request: Request, shared: Shared, permitted: Permitted, dag_id: str, run_id: str, task_id: str = ""
) -> Response:
    """The tables of a run, or of one of its tasks, on the run's day."""
    run: RunFacts | None = find_run(dag_id, run_id) if dag_id in permitted else None
    if run is None:
        raise HTTPException(NOT_FOUND, f"There is no run {run_id[:80]!r} of {dag_id[:80]!r}.")
    about = about_run(run, task_id, shared.catalog)
    return _tab(request, shared, about.contracts, f"run {run_id}", about.day, about.run_id, about.problem)


def static_file(name: str) -> Response:
    """The style and the script of our own pages."""
    if name not in ASSETS:
        raise HTTPException(NOT_FOUND, "There is nothing here.")
    return asset(name)


def _tab(
    request: Request, shared: Shared, about: tuple[Contract, ...], what: str, day: str, run_id: str = "", note: str = ""
) -> Response:
    tables = [contract for contract in about if contract.table in shared.contracts]
    if not tables:
        return message(request, f"The {what} works on no table of content-signals.")
    if len(tables) == 1:
        return _table(request, shared, tables[0], _day(day) if day else None, run_id=run_id, note=note)
    return _list(request, shared, tables, title=f"Tables of {what}", note=note, tab_day=day)


def _list(request: Request, shared: SignalsPage, contracts: list[Contract], **more: Any) -> Response:
    context: dict[str, Any] = {"title": "Signals", "q": "", "need": False, "note": "", "tab_day": "", **more}
    try:
        known = shared.store.all()
    except Unreadable as error:
        return page(request, "index.html", **context, problem=str(error), tables=[], counts=[], all=0)
    tables = worst_first(shared.overview(contract, known.get(contract.table)) for contract in contracts)
    shown = [
        t for t in tables if context["q"].strip().lower() in t.name and (t.state in IN_NEED or not context["need"])
    ]
    return page(request, "index.html", **context, problem="", tables=shown, counts=counts(tables), all=len(tables))


def _table(
    request: Request, shared: SignalsPage, contract: Contract, day: date | None, *, rule: str = "", run_id: str = "",
    note: str = "",
) -> Response:  # fmt: skip
    try:
        known = shared.store.all().get(contract.table)
    except Unreadable as error:
        known = error
    table = shared.overview(contract, known)
    chosen = table.status.of(day) if table.status and day else table.newest
    day = chosen.day if chosen else day
    aside, aside_problem = _aside(shared.store, contract.table, day)
    context: dict[str, Any] = {
        "table": table,
        "day": day,
        "chosen": chosen,
        "aside": aside,
        "aside_problem": aside_problem,
    }
    return page(request, "table.html", **context, rule=rule, run_id=run_id, note=note)


def _aside(store: StatusStore, table: str, day: date | None) -> tuple[Aside | None, str]:
    """The sample of a day's quarantine, or why it cannot be shown."""
    try:
        return (store.aside(table, day) if day else None), ""
    except Unreadable as error:
        return None, str(error)


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except UsageError:
        raise HTTPException(NOT_FOUND, f"{text[:40]!r} is not a day.") from None


def _now() -> datetime:
    return datetime.now(UTC)


def _base(request: Request) -> str:
    """The path Airflow is below: the app's own, without the name it is mounted at."""
    return str(request.scope.get("root_path", "")).rpartition("/")[0]


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHttpError)
    text = str(error.detail)
    if error.status_code == UNAUTHORIZED:
        text = "You are not signed in, or your session has ended. Sign in to Airflow and open this page again."
    return message(request, text, status=error.status_code)


def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return message(request, "This address is not one of this page's: something in it is missing or wrong.", status=400)
