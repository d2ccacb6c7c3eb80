"""The pictures of reports, README and notebooks, in one house style."""
