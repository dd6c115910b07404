"""The kill that needs no table: the environment variables of the gate's functions, and how AWS Lambda updates them."""
