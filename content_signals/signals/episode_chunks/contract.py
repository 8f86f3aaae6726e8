"""Stretches of transcripts, small enough to be found and quoted, with what they mean as a vector."""

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.models.files import MINILM_ID
from content_signals.signals.entities import CHUNK, EPISODE
from content_signals.signals.episode_chunks.chunking import VERSION

EPISODE_CHUNKS_V1 = Table(
    name="episode_chunks",
    version=1,
    entity=CHUNK,
    part_of=EPISODE,
    driver=Input("episode_transcripts_v1"),
    content=Content(id="sha256", reads=("transcript",), revision=f"{MINILM_ID} {VERSION}", batch=40),
    columns=(
        Computed("episode_id", "string", about="The episode"),
        Computed("chunk_index", "int", about="Place of the chunk in its episode, from 0"),
        Computed("start_char", "int", unit="characters", about="Where in the transcript it begins, in code points"),
        Computed("end_char", "int", unit="characters", about="Where it ends: the first code point that is not in it"),
        Computed("text", "string", about="The transcript from start to end, labels of speakers included"),
        Computed("embedding", "array<float>", about="Vector of the words spoken: 384 numbers, length 1"),
        Computed("model", "string", about="What made the vector; only vectors of one model are compared"),
    ),
    owner="content-signals",
    about="Every episode's transcript of the day in overlapping chunks.",
)
