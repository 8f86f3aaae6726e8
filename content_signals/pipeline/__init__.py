"""The steps of a day, each a function that the jobs call.

ingest, extract, validate, promote, publish; and what is made of them: rebuild, try, stale.
"""
