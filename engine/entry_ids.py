"""Entry ids: what the workflow of an entry is called."""


def entry_workflow_id(entry_key: str) -> str:
    """The workflow id of an entry: `split/S1` of the one with the key `S1/split`."""
    id, _, leg = entry_key.partition("/")
    return f"{leg}/{id}"
