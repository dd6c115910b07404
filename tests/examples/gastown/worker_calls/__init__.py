"""What API Gateway would send to the worker, and what it would make of the answer."""
