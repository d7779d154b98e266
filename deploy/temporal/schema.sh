#!/bin/sh
# Temporal's two databases, at the schema version of this image. Safe to run again: what is there stays, and a
# newer image brings it up to its version. To upgrade Temporal, go one minor version at a time.
#
# temporal-sql-tool reads SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD.
set -eu

VERSIONED=/etc/temporal/schema/postgresql/v12

prepare() { # database, folder of its schema
    temporal-sql-tool --db "$1" create
    temporal-sql-tool --db "$1" setup-schema -v 0.0
    temporal-sql-tool --db "$1" update-schema -d "$VERSIONED/$2/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility
