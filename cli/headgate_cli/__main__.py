"""`python -m headgate_cli` is the `headgate` command."""

from headgate_cli.main import app

app(prog_name="headgate")
