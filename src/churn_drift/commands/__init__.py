"""What each subcommand of `churn-drift` does."""
