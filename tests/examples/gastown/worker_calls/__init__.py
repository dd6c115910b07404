"""What API Gateway would send to the worker, and how it would read the answer."""
