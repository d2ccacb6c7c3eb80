"""What DVC made, into MLflow: a run is read as plain values, waits in the outbox, and is put into a store once."""
