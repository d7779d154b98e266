"""What an operator can search for in the Web UI. Typed, and never secret or personal: these are not encrypted."""

from temporalio.common import SearchAttributeKey

TRANSFER_STATUS = SearchAttributeKey.for_keyword("TransferStatus")
HELD = "held"
"""The transfer status, for operators, of money that waits for a decision; in the books it is debited."""

CURRENCY = SearchAttributeKey.for_keyword("Currency")
SOURCE_ACCOUNT = SearchAttributeKey.for_keyword("SourceAccount")
DESTINATION_ACCOUNT = SearchAttributeKey.for_keyword("DestinationAccount")
AMOUNT_MINOR = SearchAttributeKey.for_int("AmountMinor")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")

ALL = (TRANSFER_STATUS, CURRENCY, SOURCE_ACCOUNT, DESTINATION_ACCOUNT, AMOUNT_MINOR, NEEDS_ATTENTION)
