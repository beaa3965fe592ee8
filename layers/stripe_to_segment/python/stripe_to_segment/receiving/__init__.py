"""The webhook: from a request to its answer."""
