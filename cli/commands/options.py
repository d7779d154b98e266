"""Options that several commands have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the outcome.")]
AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account.")]
Initiator = Annotated[
    str | None, typer.Option("--initiator", help="Who asks, if people must approve; else who is logged in.")
]
ExpiresIn = Annotated[
    float, typer.Option("--expires-in", min=0, max=8760, help="How many hours people have to approve.")
]
WEEK = 168.0
"""How many hours people have to approve, unless said otherwise."""

TransferId = Annotated[str, typer.Argument(metavar="ID", help="The transfer.")]
