"""Features, training, the model directory and scoring."""
