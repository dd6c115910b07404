"""What only the admin function uses: changes to flags, lists, routes and the manifest. No decision needs it."""
