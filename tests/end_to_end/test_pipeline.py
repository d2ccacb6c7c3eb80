"""The whole pipeline, as a user runs it, in a copy of the repository."""
