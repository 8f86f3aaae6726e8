"""Airflow's way in to the Signals page. Every Airflow process imports this file, so that nothing heavy may be here."""

from content_signals.orchestration.signals_page.plugin import SignalsPlugin

__all__ = ["SignalsPlugin"]
