"""What a model answers about an episode. Evidence comes before what it supports: words are chosen in that order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

# The topics that episode_topics_v1 tells apart.
TopicLabel = Literal["brainscience", "founderstalk", "gotime", "jsparty", "practicalai", "shipit"]
AudienceLabel = Literal["everyone", "beginners", "practitioners", "specialists", "decision_makers"]
# The categories of the Brand Safety Floor and Suitability Framework of the Global Alliance for Responsible Media, 2022.
Flag = Literal[
    "adult_content",
    "arms",
    "crime",
    "death_injury_war",
    "drugs_tobacco_alcohol",
    "hate_speech",
    "misinformation",
    "obscenity",
    "online_piracy",
    "sensitive_social_issues",
    "spam_malware",
    "terrorism",
]
TOPICS: tuple[str, ...] = get_args(TopicLabel)
AUDIENCES: tuple[str, ...] = get_args(AudienceLabel)
FLAGS: tuple[str, ...] = get_args(Flag)


# What a schema has no words for, or none that every endpoint takes, is checked here when an answer is read. The text of
# the schema, and with it the name of every reply, stays what it is.
def _line(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("a control character, or more than one line")
    if not re.search(r"\w", text):
        raise ValueError("no word")
    return text


def _once(values: Iterable[str]) -> None:
    given = list(values)
    twice = sorted({value for value in given if given.count(value) > 1})
    if twice:
        raise ValueError(f"more than once: {', '.join(twice)}")


Quote = Annotated[str, Field(min_length=12, max_length=300)]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Topic(BaseModel):
    """One topic of the episode."""

    model_config = _STRICT

    quote: Quote
    label: TopicLabel


class Summary(BaseModel):
    """The episode in one sentence."""

    model_config = _STRICT

    quote: Quote
    text: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]


class Audience(BaseModel):
    """Whom the episode is for."""

    model_config = _STRICT

    quote: Quote
    label: AudienceLabel


class Safety(BaseModel):
    """Something that an advertiser may not want to stand beside."""

    model_config = _STRICT

    quote: Quote
    flag: Flag


class EpisodeTags(BaseModel):
    """The whole answer."""

    model_config = _STRICT

    topics: Annotated[tuple[Topic, ...], Field(min_length=1, max_length=3)]
    summary: Summary
    audience: Audience
    brand_safety: Annotated[tuple[Safety, ...], Field(max_length=5)]

    @field_validator("topics")
    @classmethod
    def _each_topic_once(cls, topics: tuple[Topic, ...]) -> tuple[Topic, ...]:
        _once(topic.label for topic in topics)
        return topics

    @field_validator("brand_safety")
    @classmethod
    def _each_flag_once(cls, flags: tuple[Safety, ...]) -> tuple[Safety, ...]:
        _once(one.flag for one in flags)
        return flags
