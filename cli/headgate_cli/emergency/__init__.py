"""The kill that needs no table: what the gate's functions are told, and how AWS Lambda is made to tell them."""
