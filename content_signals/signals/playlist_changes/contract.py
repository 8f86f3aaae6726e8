"""What changed in each playlist since it was last observed."""

from content_signals.contract import Computed, Input, Table

POSITIONS = Input("playlist_positions_v1", previous=("playlist",), where="observed")

PLAYLIST_CHANGES_V1 = Table(
    name="playlist_changes",
    version=1,
    key=("playlist", "track_id"),
    driver=POSITIONS,
    columns=(
        Computed("change", "string", about="added: in the playlist now and not before; removed: the other way round"),
    ),
    owner="catalogue-signals",
    about="Tracks added to and removed from each playlist observed on the day, against its latest earlier observation.",
    serve=False,
)
