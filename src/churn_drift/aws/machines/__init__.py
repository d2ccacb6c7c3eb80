"""The pipeline's run on machines of AWS: an instance, a command on one, a SageMaker job."""
