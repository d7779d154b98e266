"""What workflows may do, each done once: the ledger's legs and the notifications, as Temporal activities."""
