"""One module per group of commands. Each reads its options, asks the API once, and shows the answer."""
