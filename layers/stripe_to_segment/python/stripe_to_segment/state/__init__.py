"""The state kept between invocations: the records, the store that keeps them, and their encoding in DynamoDB."""
