"""Whether to retrain and to promote, with reasons; and the fold of `step` over a timeline."""
