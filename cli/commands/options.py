"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the outcome.")]
AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account.")]
TransferId = Annotated[str, typer.Argument(metavar="ID", help="The transfer.")]
