"""The page at `/`: what the run found, what serves now, and a form that scores one customer."""
