"""API Gateway, its authorizer and its functions on one machine, read from `template.yaml`."""
