"""Models that several families share: pinned files, loaded once a process, numpy in and numpy out.

This room knows neither Spark nor tables. A model's `MODEL_ID` or revision names the very files it was loaded from: what
was made with one is never mixed with what was made with another.
"""
