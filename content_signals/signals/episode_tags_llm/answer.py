"""What a model answers about an episode. Evidence comes before what it supports: words are chosen in that order."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

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
    text: Annotated[str, Field(min_length=1, max_length=200)]


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
