"""The admin API: every mutation and every read of flags, routes, manifest and audit. Behind AWS_IAM."""
