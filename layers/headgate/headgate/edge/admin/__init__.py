"""The admin API: every change and every read of flags, routes, manifest, and audit. Behind AWS_IAM."""
