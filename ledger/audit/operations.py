"""What was asked against what moved: keys, postings, fingerprints, fences."""

import json

from ledger.audit.check import Check, Row
from ledger.entries import KINDS, LEGS
from ledger.fingerprint import APPROVALS, BATCH, CAPTURE, CURRENT, DECISION, LIMITS, RECIPES, SETTINGS
from ledger.keys import APPROVAL, SETTING, Leg, cash_account, entry_cancel_key, operation_key, transit_account
from ledger.operation import OutcomeKind

_APPLIED, _FENCED = f"'{OutcomeKind.APPLIED}'", f"'{OutcomeKind.FENCED}'"
_IS_SETTING = f"o.transfer_id IS NULL AND o.key LIKE '_%{SETTING}_%'"  # no id has a slash in it
_IS_APPROVAL = f"o.transfer_id IS NULL AND o.key LIKE '_%{APPROVAL}_%'"
IS_ENTRY = " OR ".join(f"o.key LIKE '_%{operation_key('', leg)}'" for leg in LEGS)
IS_CANCEL_OF_ENTRY = " OR ".join(f"o.key LIKE '_%{entry_cancel_key(operation_key('', leg))}'" for leg in LEGS)
_APPROVAL_RECIPES = ", ".join(f"'{recipe}'" for recipe in APPROVALS.values())
_IS_BATCH = f"o.transfer_id IS NULL AND o.key LIKE '_%{operation_key('', Leg.BATCH)}'"
_OF_NO_TRANSFER = {Leg.DEPOSIT, Leg.BATCH, *LEGS}
_RECIPES = " ".join(
    f"WHEN o.key LIKE '_%{key}' AND o.fingerprint_recipe = '{kind.recipe}' THEN '{kind.recipe}'"
    for kind in KINDS
    for key in (operation_key("", kind.leg), entry_cancel_key(operation_key("", kind.leg)))
)
_TRANSIT, _CASH = f"'{transit_account('')}' || p.currency", f"'{cash_account('')}' || p.currency"


def key_of(owner: str, leg: Leg) -> str:
    """The SQL of a leg's key: `t.id || '/debit'`."""
    return f"{owner} || '{operation_key('', leg)}'"


_STILL = (Leg.CANCEL, Leg.SUBMIT, Leg.RECALL, Leg.DECISION, Leg.ACCEPTED, Leg.REJECTED)
_MOVE_NOTHING = ", ".join(key_of("o.transfer_id", leg) for leg in _STILL)

# The canonical text of recipe v1, as `fingerprint.py` makes it; no id or code has a character to escape.
_ASKED_OF_A_TRANSFER = """'{"amount_minor":' || t.amount_minor || ',"currency":"' || t.currency
    || '","destination":"' || t.destination_account_id || '","source":"' || t.source_account_id || '"}'"""
_ASKED_OF_A_DEPOSIT = """'{"account":"' || p.credit_account_id || '","amount_minor":' || p.amount_minor
    || ',"currency":"' || p.currency || '"}'"""

# What a posting of a transfer moves: all of it, or of a hold the part that was captured, and the rest after it.
_MOVED = f"""CASE WHEN o.key <> {key_of("t.id", Leg.CREDIT)} OR t.captured_minor IS NULL THEN t.amount_minor
    WHEN p.position = 0 THEN t.captured_minor ELSE t.amount_minor - t.captured_minor END"""


def _asked_otherwise(row: Row) -> bool:
    """Whether what is no plain request for a transfer is none on terms, and no capture, either."""
    recipe, leg = row["fingerprint_recipe"], row["subject"].rpartition("/")[2]
    on_terms = {Leg.DEBIT: row["terms"], Leg.CREDIT: CAPTURE if row["terms"] else None, Leg.DECISION: DECISION}.get(leg)
    plain = on_terms is None or leg == Leg.CREDIT or row["outcome"] == OutcomeKind.FENCED
    if recipe != on_terms and not (plain and recipe == CURRENT):
        return True
    try:
        asked = json.loads(row["fingerprint"])
    except ValueError:
        return True
    must_be = {name: row[name] for name in ("source", "destination", "amount_minor", "currency")}
    if recipe == CAPTURE and row["outcome"] == OutcomeKind.APPLIED:
        must_be["captured_minor"] = row["captured_minor"]
    names = RECIPES[recipe] - {"account"}
    return asked.keys() != names or any(asked[name] != value for name, value in must_be.items())


CHECKS = (
    Check(
        "keys",
        "A key is `<transfer id>/<leg>` of a transfer here, `<id>/<kind>` of a deposit or another entry, "
        "`<either>/approval/<approver>`, `<id>/<kind>/cancel`, `<account id>/setting/<n>`, or `<id>/batch`.",
        f"""
        SELECT o.key AS subject, o.transfer_id FROM operations o LEFT JOIN transfers t ON t.id = o.transfer_id
        WHERE CASE
            WHEN o.transfer_id IS NULL
                THEN substr(o.key, length(o.key) - 7) = '{operation_key("", Leg.DEPOSIT)}' AND length(o.key) > 8
                  OR {_IS_SETTING} OR {_IS_APPROVAL} OR {_IS_BATCH} OR {IS_ENTRY} OR {IS_CANCEL_OF_ENTRY}
            ELSE o.key IN ({", ".join(key_of("t.id", leg) for leg in Leg if leg not in _OF_NO_TRANSFER)})
        END IS NOT TRUE""",
        "is no key of transfer {transfer_id}, of an entry, of a setting or of a batch",
    ),
    Check(
        "postings_have_operations",
        "Every posting belongs to an operation that has applied: a rejected or fenced key moves nothing.",
        f"""
        SELECT p.operation_key AS subject, p.sequence, COALESCE(o.outcome, 'missing') AS outcome
        FROM postings p LEFT JOIN operations o ON o.key = p.operation_key
        WHERE (o.outcome = {_APPLIED}) IS NOT TRUE""",
        "posting {sequence} is in the books, and its operation is {outcome}",
    ),
    Check(
        "operations_have_postings",
        "An applied operation that moves money has exactly one posting, and the capture of a part two; every other has "
        "none. Entries of several postings are looked at by `entries`.",
        f"""
        SELECT key AS subject, outcome, postings, due FROM (
            SELECT o.key, o.outcome,
                   (SELECT COUNT(*) FROM postings p WHERE p.operation_key = o.key) AS postings,
                   CASE WHEN o.outcome <> {_APPLIED} OR o.key IN ({_MOVE_NOTHING})
                          OR {_IS_SETTING} OR {_IS_APPROVAL} OR {_IS_BATCH} OR {IS_CANCEL_OF_ENTRY} THEN 0
                        WHEN o.key = {key_of("o.transfer_id", Leg.CREDIT)} AND t.captured_minor < t.amount_minor THEN 2
                        ELSE 1 END AS due
            FROM operations o LEFT JOIN transfers t ON t.id = o.transfer_id) AS effects
        WHERE postings <> due AND NOT (outcome = {_APPLIED} AND ({IS_ENTRY.replace("o.key", "key")}))""",
        "is {outcome} and has {postings} postings instead of {due}",
    ),
    Check(
        "postings_match_transfers",
        "A leg's posting moves its transfer's amount and currency between source, transit and destination; the capture "
        "of a part moves that to the destination, and then the rest to the source.",
        f"""
        SELECT p.operation_key AS subject, p.sequence, p.debit_account_id, p.credit_account_id, p.amount_minor,
               p.currency, t.source_account_id, t.destination_account_id, {_MOVED} AS asked,
               t.currency AS asked_currency
        FROM postings p JOIN operations o ON o.key = p.operation_key JOIN transfers t ON t.id = o.transfer_id
        WHERE (p.amount_minor = {_MOVED} AND p.currency = t.currency AND CASE o.key
            WHEN {key_of("t.id", Leg.DEBIT)}
                THEN p.debit_account_id = t.source_account_id AND p.credit_account_id = {_TRANSIT}
            WHEN {key_of("t.id", Leg.CREDIT)}
                THEN p.debit_account_id = {_TRANSIT} AND p.credit_account_id
                     = CASE p.position WHEN 0 THEN t.destination_account_id ELSE t.source_account_id END
            WHEN {key_of("t.id", Leg.REFUND)}
                THEN p.debit_account_id = {_TRANSIT} AND p.credit_account_id = t.source_account_id
        END) IS NOT TRUE""",
        "posting {sequence} is {amount_minor} {currency} from {debit_account_id} to {credit_account_id}; the transfer "
        "asks {asked} {asked_currency} from {source_account_id} to {destination_account_id}",
    ),
    Check(
        "fingerprints",
        "All operations of a transfer were asked what the transfer says, under a recipe that the audit knows.",
        f"""
        SELECT o.key AS subject, o.fingerprint, o.fingerprint_recipe, o.outcome, t.terms, t.captured_minor,
               t.source_account_id AS source, t.destination_account_id AS destination, t.amount_minor, t.currency
        FROM operations o LEFT JOIN transfers t ON t.id = o.transfer_id
        WHERE CASE WHEN {_IS_SETTING} THEN o.fingerprint_recipe NOT IN ('{SETTINGS}', '{LIMITS}')
            WHEN {_IS_APPROVAL} THEN o.fingerprint_recipe NOT IN ({_APPROVAL_RECIPES})
            ELSE o.fingerprint_recipe <> CASE {_RECIPES}
                WHEN {_IS_BATCH} THEN '{BATCH}'
                WHEN o.outcome <> {_FENCED} AND o.key = {key_of("t.id", Leg.DEBIT)} THEN COALESCE(t.terms, '{CURRENT}')
                WHEN o.outcome <> {_FENCED} AND t.terms IS NOT NULL AND o.key = {key_of("t.id", Leg.CREDIT)}
                    AND o.fingerprint_recipe = '{CAPTURE}' THEN '{CAPTURE}'
                WHEN o.key = {key_of("t.id", Leg.DECISION)} THEN '{DECISION}'
                ELSE '{CURRENT}' END END
          OR o.transfer_id IS NOT NULL
          AND (o.fingerprint = {_ASKED_OF_A_TRANSFER}) IS NOT TRUE""",
        "has the fingerprint {fingerprint} ({fingerprint_recipe}), which is not what its transfer says",
        confirmed=_asked_otherwise,
    ),
    Check(
        "deposits",
        "A deposit's posting moves what its fingerprint asks, from the currency's cash account.",
        f"""
        SELECT o.key AS subject, o.fingerprint, p.sequence, p.amount_minor, p.currency, p.debit_account_id,
               p.credit_account_id
        FROM operations o JOIN postings p ON p.operation_key = o.key
        WHERE o.key LIKE '_%{operation_key("", Leg.DEPOSIT)}'
          AND (o.fingerprint = {_ASKED_OF_A_DEPOSIT} AND p.debit_account_id = {_CASH}) IS NOT TRUE""",
        "posting {sequence} is {amount_minor} {currency} from {debit_account_id} to {credit_account_id}; "
        "the deposit asks {fingerprint}",
    ),
    Check(
        "fences",
        "A fence names the operation that put it, which has applied for the same transfer or entry.",
        f"""
        SELECT f.key AS subject, f.code FROM operations f LEFT JOIN operations o ON o.key = f.code
        WHERE f.outcome = {_FENCED} AND (o.outcome = {_APPLIED} AND CASE WHEN f.transfer_id IS NULL
            THEN o.transfer_id IS NULL AND f.code = f.key || '{entry_cancel_key("")}'
                AND f.fingerprint = o.fingerprint
            ELSE o.transfer_id = f.transfer_id AND CASE f.key
            WHEN {key_of("f.transfer_id", Leg.DEBIT)} THEN f.code = {key_of("f.transfer_id", Leg.CANCEL)}
            WHEN {key_of("f.transfer_id", Leg.CREDIT)} THEN f.code = {key_of("f.transfer_id", Leg.REFUND)}
            WHEN {key_of("f.transfer_id", Leg.SUBMIT)} THEN f.code = {key_of("f.transfer_id", Leg.RECALL)}
        END END) IS NOT TRUE""",
        "is fenced by {code}, which could not have done it",
    ),
    Check(
        "posting_accounts",
        "A posting moves a positive amount between two different accounts that exist, in the currency of both.",
        """
        SELECT p.operation_key AS subject, p.sequence, p.amount_minor, p.currency, p.debit_account_id,
               p.credit_account_id, COALESCE(d.currency, 'no account') AS debit_currency,
               COALESCE(c.currency, 'no account') AS credit_currency
        FROM postings p
        LEFT JOIN accounts d ON d.id = p.debit_account_id
        LEFT JOIN accounts c ON c.id = p.credit_account_id
        WHERE (d.currency = p.currency AND c.currency = p.currency
               AND p.debit_account_id <> p.credit_account_id AND p.amount_minor > 0) IS NOT TRUE""",
        "posting {sequence} is {amount_minor} {currency} from {debit_account_id} ({debit_currency}) "
        "to {credit_account_id} ({credit_currency})",
    ),
)
