"""What signals are about."""

from content_signals.contract import Entity

TRACK = Entity("track", join_key="track_id", about="One recording in the catalogue")
EPISODE = Entity("episode", join_key="episode_id", about="One episode of a show")
CHUNK = Entity("chunk", join_key="chunk_id", about="A passage of an episode")
AUDIO_CLIP = Entity("audio_clip", join_key="clip_id", about="One sound file")
