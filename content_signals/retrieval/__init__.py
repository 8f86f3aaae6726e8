"""Search over chunks of transcripts: by words, by meaning, and both together, among the episodes that signals allow.

`build` makes a version of the index from the promoted tables; `version` says which one is live; `search` answers.
"""
