"""What our own expectations have in common: each is told in one sentence, with what it was given put in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from great_expectations.expectations.expectation import BatchExpectation, render_suite_parameter_string
from great_expectations.render.components import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.renderer_configuration import RendererConfiguration, RendererValueType


class RenderedExpectation(BatchExpectation, ABC):
    """An expectation whose sentence stands in Data Docs. Abstract ones are not registered as rules."""

    @classmethod
    @abstractmethod
    def _template(cls, kwargs: Mapping[str, Any], *, with_column: bool = True) -> str:
        """The sentence, with `$name` where a parameter goes."""

    @classmethod
    @abstractmethod
    def _parameters(cls, kwargs: Mapping[str, Any]) -> Mapping[str, RendererValueType]:
        """Parameters that the sentence may name -> kind."""

    @classmethod
    def _prescriptive_template(cls, renderer_configuration: RendererConfiguration[Any]) -> RendererConfiguration[Any]:
        for name, kind in cls._parameters(renderer_configuration.kwargs).items():
            renderer_configuration.add_param(name=name, param_type=kind)
        renderer_configuration.template_str = cls._template(renderer_configuration.kwargs)
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    @render_suite_parameter_string
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        runtime = runtime_configuration or {}
        kwargs = {**{name: f.default for name, f in cls.__fields__.items()}, **configuration.kwargs}
        template = {
            "template": cls._template(kwargs, with_column=runtime.get("include_column_name") is not False),
            "params": {name: kwargs[name] for name in cls._parameters(kwargs)},
            "styling": runtime.get("styling"),
        }
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=template)]
