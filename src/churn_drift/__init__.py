"""A churn model kept alive: drift that matters, retraining, promotion with proof."""
