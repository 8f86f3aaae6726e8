"""One service a model, written by the model's owner: which signals it reads, in which versions."""

from definitions import views
from feast import FeatureService

# An example to copy. It pins the versions it was trained on: a new version of a family does not change its inputs.
playlist_ranker_v1 = FeatureService(
    name="playlist_ranker_v1",
    features=[
        views["track_popularity_v1"][["playlists_count", "best_position", "playlists_added_7d", "decayed_adds_50d"]],
        views["track_title_v1"][["is_live", "is_remix", "duration_ms", "catalogue_age_days"]],
    ],
    description="Inputs of the playlist ranking model, version 1.",
    owner="ranking",
    tags={"follow": "pinned"},
)
