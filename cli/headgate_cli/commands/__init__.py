"""One module per command or group. A command reads its options, calls the API, and shows the answer."""
