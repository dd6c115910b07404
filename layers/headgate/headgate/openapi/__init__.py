"""The OpenAPI document, made from the tables and models that the functions run by. Loaded only to be asked for it."""
