"""The same pipeline on AWS. boto3 is imported in this package only."""
