"""Frame in, frame out: ingest, simulator, preprocessing, batches; `io` is where a path becomes a frame."""
