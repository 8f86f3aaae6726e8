"""A validation result as a page of Great Expectations' Data Docs."""

from __future__ import annotations

from functools import cache

from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView


def docs_page(result: ExpectationSuiteValidationResult) -> str:
    """The page, HTML."""
    return str(_view().render(ValidationResultsPageRenderer().render(result)))  # type: ignore[no-untyped-call]


@cache
def _view() -> DefaultJinjaPageView:
    """One for all pages: each compiles its templates anew, which takes most of the time of a page."""
    return DefaultJinjaPageView()
