"""Starts the production run at its times, one at a time, for as long as the process lives."""
