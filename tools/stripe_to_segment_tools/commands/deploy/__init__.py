"""`make deploy`: into the AWS account of your credentials, asking what only you can answer."""
