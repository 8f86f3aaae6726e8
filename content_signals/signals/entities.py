"""What signals are about."""

from content_signals.contract import Entity

TRACK = Entity("track", join_key="track_id", about="One recording in the catalogue")
