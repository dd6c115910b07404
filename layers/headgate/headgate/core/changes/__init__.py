"""What only the admin function uses: changes to flags, lists, routes, and the manifest. Decisions do not need it."""
