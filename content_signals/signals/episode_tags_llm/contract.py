"""What a language model says of an episode, and what supports it."""

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import EPISODE
from content_signals.signals.needs import LANGUAGE_MODEL

# The prompt, and the beginning of its hash and its schema's: a test holds it. Another prompt asks everything anew.
PROMPT = "episode_tags/v1"
REVISION = f"{PROMPT} ae630d932021 bb4a5bb1bcb4"

EPISODE_TAGS_LLM_V1 = Table(
    name="episode_tags_llm",
    version=1,
    entity=EPISODE,
    driver=Input("episode_transcripts_v1"),
    content=Content(
        id="sha256", reads=("transcript",), revision=REVISION, batch=100, needs=(LANGUAGE_MODEL,), installed=True
    ),
    columns=(
        Computed("status", "string", about="ok, or what is wrong with the answer; then there are no tags"),
        Computed("error", "string", about="What is wrong with the answer; null where it is good"),
        Computed(
            "topics", "array<string>", about="One to three topics, the main one first: those of episode_topics_v1"
        ),
        Computed("main_topic", "string", about="The first of the topics"),
        Computed("summary", "string", about="The episode in at most 200 characters"),
        Computed("audience", "string", about="Whom the episode is for, of a closed list"),
        Computed(
            "brand_safety_flags",
            "array<string>",
            about="What an advertiser may not want to stand beside; empty: nothing",
        ),
        Computed(
            "evidence",
            "string",
            about="JSON: of each topic, the summary, the audience and each flag the words that support it, and where in"
            " the transcript they stand: of, quote, start, end; in code points",
        ),
        Computed("prompt_tokens", "bigint", unit="tokens", about="Read by the model"),
        Computed("output_tokens", "bigint", unit="tokens", about="Written by the model"),
        Computed("cost_micros", "bigint", unit="micro-units of money", about="Price of the call"),
        Computed("served_by", "string", about="What answered, by the endpoint's word"),
    ),
    owner="content-signals",
    about="Topics, summary, audience and brand safety of every episode, by a language model, each with a quote.",
)
