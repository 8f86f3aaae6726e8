"""What a model answers about the main topic of an episode. Evidence comes first: words are chosen in that order."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from content_signals.signals.episode_tags_llm.answer import Topic


class MainTopic(BaseModel):
    """The whole answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic
