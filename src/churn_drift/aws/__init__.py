"""The same pipeline on AWS. boto3 is imported in this package only.

s3_upload, lambda_handler, trigger_retrain, deploy_model   what AWS mode adds, a verb each
inbox, sns                                                 adapters of ports.py
look, machines, endpoint                                   what the Lambda, a run and the endpoint are made of
leases, asking, services, client, settings, variables      how AWS is asked
permissions, policy_document, checks                       `churn-drift doctor`
"""
