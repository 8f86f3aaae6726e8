"""What an episode is about."""

from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import EPISODE

EPISODE_TOPICS_V1 = Table(
    name="episode_topics",
    version=1,
    entity=EPISODE,
    driver=Input("episode_chunks_v1"),
    columns=(
        Computed(
            "topic", "string", about="The likeliest topic; topics are named after the shows they were learnt from"
        ),
        Computed("topic_probability", "double", about="Its calibrated probability, 0 to 1"),
        Computed("topics", "array<string>", about="All topics, the likeliest first"),
        Computed("probabilities", "array<double>", about="Their calibrated probabilities, in the same order; sum 1"),
        Computed("top_terms", "array<string>", about="Up to ten words that mark the episode, the strongest first"),
        Computed("model", "string", about="The classifier that said so"),
    ),
    owner="content-signals",
    about="Topics and terms of every episode that has chunks on the day.",
)
