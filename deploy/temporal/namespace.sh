#!/bin/sh
# The namespace of the transfers and its search attributes. Safe to run again: it adds what is missing, and fails
# if an attribute exists with another type. It never changes the retention of a namespace that exists.
#
# Reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, NAMESPACE_RETENTION (90d) and SEARCH_ATTRIBUTES (Name=Type ...).
set -eu

ATTEMPTS=60 # one a second

# By name, the CLI's gRPC library also asks for SRV and TXT records, which Docker's DNS can leave unanswered.
host=${TEMPORAL_ADDRESS%:*}
ipv4=$(getent ahosts "$host" | awk '/STREAM/ && $1 !~ /:/ { print $1; exit }')
export TEMPORAL_ADDRESS="${ipv4:-$host}:${TEMPORAL_ADDRESS##*:}"

wait_for() { # what, command ...
    what=$1
    shift
    attempt=1
    until "$@" >/dev/null 2>&1; do
        if [ "$attempt" -ge "$ATTEMPTS" ]; then
            echo "No success within $ATTEMPTS attempts: $what" >&2
            "$@"
            return 1
        fi
        attempt=$((attempt + 1))
        sleep 1
    done
}

attributes() {
    temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"
}

has_attribute() { # name, type
    attributes | awk -v name="$1" -v type="$2" '$1 == name && $2 == type { found = 1 } END { exit !found }'
}

wait_for "the server is healthy" temporal operator cluster health

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$NAMESPACE_RETENTION"
fi
wait_for "the namespace $TEMPORAL_NAMESPACE is known to every part of the server" attributes

# One call each: given several names of which one exists, CLI 1.9.1 reports success and adds none of the others.
for attribute in $SEARCH_ATTRIBUTES; do
    name=${attribute%=*}
    type=${attribute#*=}
    if ! has_attribute "$name" "$type"; then
        temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$name" --type "$type"
        wait_for "the search attribute $name is there, as $type" has_attribute "$name" "$type"
    fi
done
echo "Namespace $TEMPORAL_NAMESPACE is ready."
