"""`python -m dialer`: the command `dialer`, for processes that are started without its script."""

from dialer.cli import main

main(prog_name="dialer")
