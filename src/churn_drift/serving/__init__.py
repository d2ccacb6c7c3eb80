"""The pinned champion behind HTTP: one customer or many in, churn probability, decision and reasons out."""
