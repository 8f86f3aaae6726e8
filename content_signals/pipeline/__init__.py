"""The steps of a day, each a function the jobs call: ingest, extract, validate, promote, publish; and rebuild, try, stale."""
