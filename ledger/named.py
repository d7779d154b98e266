"""Named: what of the books a batch reads or writes, so that it can be loaded before anything is decided. Pure."""

from collections.abc import Iterable

from ledger.keys import cash_account, transit_account
from ledger.limits import SetLimits
from ledger.operation import OpenAccount, Operation, Request, SetAccountStatus, Settle


def named(batch: Iterable[Request]) -> tuple[set[str], set[str], set[str]]:
    """The ids of the accounts, keys and transfers that a batch reads or writes."""
    accounts: set[str] = set()
    keys: set[str] = set()
    transfers: set[str] = set()
    for request in batch:
        match request:
            case Operation():
                accounts |= request.account_ids()
                keys.add(request.key)
                if request.fences:
                    keys.add(request.fences)
                if request.step:
                    transfers.add(request.step.transfer.id)
                if request.reverses:
                    transfers.add(request.reverses)
                if request.gives_back:
                    keys.add(request.gives_back.original.key)
            case Settle(transfer):
                accounts |= {transfer.source, transfer.destination, transit_account(transfer.currency)}
                transfers.add(transfer.id)
            case OpenAccount():
                accounts |= {request.account_id, transit_account(request.currency), cash_account(request.currency)}
            case SetAccountStatus() | SetLimits():
                accounts.add(request.account_id)
                keys |= {request.key} if request.key else set()
    return accounts, keys, transfers
