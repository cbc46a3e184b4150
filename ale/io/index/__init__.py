"""Reading millions of documents and writing them back with labels: files, parts, resumption.

A part is what one worker does at a time and what a resumed run skips: some row groups of a Parquet file, or a
block of whole records of a JSONL or CSV file. Parts hang on the input alone, so that another machine or a later
run cuts the same ones.
"""
