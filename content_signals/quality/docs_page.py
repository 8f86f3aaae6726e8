"""A validation result as a page of Great Expectations' Data Docs."""

from __future__ import annotations

from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView


def docs_page(result: ExpectationSuiteValidationResult) -> str:
    """The page, HTML."""
    document = ValidationResultsPageRenderer().render(result)
    return str(DefaultJinjaPageView().render(document))  # type: ignore[no-untyped-call]
