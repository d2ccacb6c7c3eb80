"""The inference log: what was answered, kept as the next batch of customers."""
