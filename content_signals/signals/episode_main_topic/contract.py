"""What an episode is mainly about: by the classifier where it is sure, by a language model where it is not."""

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import EPISODE
from content_signals.signals.needs import LANGUAGE_MODEL

# From here the classifier answers alone. Of 1212 episodes that it had not seen it was so sure of 0.80, and right about
# 0.982 of these (`measured.json` of episode_topics). How far a model agrees says `content-signals llm route`.
SURE_FROM = 0.9

# The prompt, and the beginning of its hash and its schema's: a test holds it. Another prompt asks everything anew.
PROMPT = "episode_main_topic/v1"
REVISION = f"{PROMPT} bfaf7be7a904 ee932009bb6b"

CLASSIFIER, MODEL = "classifier", "model"

EPISODE_MAIN_TOPIC_V1 = Table(
    name="episode_main_topic",
    version=1,
    entity=EPISODE,
    driver=Input("episode_transcripts_v1"),
    inputs=(Input("episode_topics_v1"),),
    content=Content(
        id="sha256",
        reads=("transcript",),
        revision=REVISION,
        routing=f"sure from {SURE_FROM}",
        batch=100,
        needs=(LANGUAGE_MODEL,),
        installed=True,
    ),
    columns=(
        Computed("routed_topic", "string", about="The main topic, one of those of episode_topics_v1, whoever says so"),
        Computed("answered_by", "string", about="classifier, where it is sure, or model"),
        Computed("classifier_topic", "string", about="The classifier's likeliest topic; null without chunks"),
        Computed("classifier_probability", "double", about="How likely the classifier finds it, 0 to 1"),
        Computed("model_topic", "string", about="What the model says; null where it was not asked, or is no good"),
        Computed("model_status", "string", about="ok, or what is wrong with the answer; null where none was asked for"),
        Computed("model_error", "string", about="What is wrong with the model's answer; null where it is good"),
        Computed("model_quote", "string", about="Words of the transcript that support the model's answer"),
        Computed("model_prompt_tokens", "bigint", unit="tokens", about="Read by it; null where it was not asked"),
        Computed("model_output_tokens", "bigint", unit="tokens", about="Written by it; null where it was not asked"),
        Computed("model_cost_micros", "bigint", unit="micro-units of money", about="Price of the call, null without"),
        Computed("model_served_by", "string", about="What answered, by the endpoint's word; null where none was asked"),
    ),
    owner="content-signals",
    about="The main topic of every episode; a language model is asked only where the classifier is not sure.",
)
