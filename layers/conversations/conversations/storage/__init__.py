"""Conversations and their items in DynamoDB and S3; `store` is the interface."""
