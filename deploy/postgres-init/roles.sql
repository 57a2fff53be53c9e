-- A role and a schema of the same name for each service, in the database that psql is connected to.
-- Run by a superuser, with the passwords in the environment; a second time changes only passwords:
--   REGISTRY_PASSWORD=… HEARTBEAT_PASSWORD=… COMMANDS_PASSWORD=… DECISION_PASSWORD=… \
--     psql "$ADMIN_DSN" -f roles.sql

\set ON_ERROR_STOP on
\getenv registry_password REGISTRY_PASSWORD
\getenv heartbeat_password HEARTBEAT_PASSWORD
\getenv commands_password COMMANDS_PASSWORD
\getenv decision_password DECISION_PASSWORD

select format('create role %I login', name)
from unnest(array['registry', 'heartbeat', 'commands', 'decision']) as name
where not exists (select from pg_roles where rolname = name)
\gexec

alter role registry login password :'registry_password';
alter role heartbeat login password :'heartbeat_password';
alter role commands login password :'commands_password';
alter role decision login password :'decision_password';

-- A role may see no schema but its own.
revoke all on database :"DBNAME" from public;
revoke all on schema public from public;
grant connect, temporary on database :"DBNAME" to registry, heartbeat, commands, decision;

create schema if not exists registry authorization registry;
create schema if not exists heartbeat authorization heartbeat;
create schema if not exists commands authorization commands;
create schema if not exists decision authorization decision;
