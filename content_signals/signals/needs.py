"""What computing some signals takes, and not every installation has."""

from content_signals.content import Need

LANGUAGE_MODEL = Need(
    "CONTENT_SIGNALS_LLM",
    "the file of a language model's endpoint: copy conf/llm.toml, fill it in, export its path; docs/language-models.md",
)
