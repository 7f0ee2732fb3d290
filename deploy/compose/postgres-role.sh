#!/bin/sh
# Run once by the Postgres image, as its superuser: the ordinary user that is enough for Vaultaire, and its database.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/database-password)" -U postgres <<'SQL'
CREATE ROLE vaultaire LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE vaultaire OWNER vaultaire;
SQL
