"""What is remembered between invocations: the values, the store that keeps them, and how they stand in DynamoDB."""
