"""Conversations and their items in DynamoDB and S3; `store` is what the rest of the code calls."""
