"""The Lambda's look at a batch: read it, count it, judge it, tell of it."""
