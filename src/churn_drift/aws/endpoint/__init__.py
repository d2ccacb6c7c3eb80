"""A model as SageMaker hosts it: its archive, its configuration, its endpoint."""
