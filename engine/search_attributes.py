"""Register the search attributes that the workflows set, or say the command for where that is not allowed."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.service import RPCError, RPCStatusCode

from workflows.search_attributes import ALL

_NAMES = {
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.INT: "Int",
    SearchAttributeIndexedValueType.BOOL: "Bool",
}


class NotAllowed(Exception):
    """The namespace misses search attributes, and this client may not add them."""


async def register(client: Client) -> list[str]:
    """Add what the namespace misses and return the names. Raises NotAllowed, naming the command that does it."""
    operator = client.operator_service
    try:
        there = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
        missing = [key for key in ALL if key.name not in there.custom_attributes]
        if missing:
            wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in missing}
            await operator.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
            )
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:  # another worker was quicker
            return []
        if error.status not in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            raise
        raise NotAllowed(
            f"this client may not register search attributes in namespace {client.namespace}; somebody who may runs:\n"
            f"{command(client.namespace)}"
        ) from error
    return [key.name for key in missing]


def command(namespace: str) -> str:
    """The commands that register all of them, one a line: the CLI adds none of several if one is there already."""
    create = f"temporal operator search-attribute create --namespace {namespace}"
    return "\n".join(f"  {create} --name {key.name} --type {_NAMES[key.indexed_value_type]}" for key in ALL)


def as_flags() -> list[str]:
    """The same, as flags of `temporal server start-dev`."""
    return [flag for key in ALL for flag in ("--search-attribute", f"{key.name}={_NAMES[key.indexed_value_type]}")]
