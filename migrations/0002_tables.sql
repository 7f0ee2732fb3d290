-- Everything the control plane keeps. Tables with tenants' data are under row-level security, forced on the owner
-- too; the policies ask for the role itself, because the owner inherits what its roles may do.

CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT NULLIF(current_setting('vaultaire.tenant_id', true), '')::uuid $$;

-- The one serial order of changes. Whoever takes the next number holds the row to the end of the transaction, so
-- the order of numbers is the order of commits.
CREATE TABLE revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO revision (number) VALUES (0);

-- What concerns every tenant.
CREATE TABLE settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL,
    region text NOT NULL,
    -- Sealed; 32 bytes each, the first seals.
    token_keys bytea NOT NULL
);

CREATE TABLE engines (
    id text PRIMARY KEY,
    endpoint text NOT NULL,
    region text NOT NULL,
    access_key_id text NOT NULL,
    -- Sealed.
    secret bytea NOT NULL,
    placement text NOT NULL CHECK (placement IN ('dedicated', 'pooled')),
    pool_bucket text,
    capabilities jsonb NOT NULL DEFAULT '{}',
    probed_at timestamptz,
    CHECK (placement = 'dedicated' OR pool_bucket IS NOT NULL)
);

CREATE TABLE plans (
    id text PRIMARY KEY,
    name text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    currency text NOT NULL DEFAULT 'usd',
    -- Included in the price.
    storage_bytes bigint NOT NULL CHECK (storage_bytes >= 0),
    -- Refused beyond; null where more is metered.
    quota_bytes bigint CHECK (quota_bytes >= 0),
    requests_per_second integer NOT NULL CHECK (requests_per_second >= 1),
    burst integer NOT NULL CHECK (burst >= 1),
    trial_days integer CHECK (trial_days >= 1),
    bucket_limit integer NOT NULL CHECK (bucket_limit >= 0),
    access_key_limit integer NOT NULL CHECK (access_key_limit >= 0),
    position integer NOT NULL
);
-- GB and TB are decimal, as every S3 vendor bills them.
INSERT INTO plans (id, name, price_cents, storage_bytes, quota_bytes, requests_per_second, burst, trial_days,
                   bucket_limit, access_key_limit, position)
VALUES ('trial', 'Trial', 0, 25000000000, 25000000000, 100, 200, 14, 100, 500, 1),
       ('business', 'Business', 149900, 40000000000000, NULL, 100, 200, NULL, 100, 500, 2);

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'read_only', 'suspended', 'deleted')),
    plan_id text NOT NULL REFERENCES plans (id),
    -- The operator's, in place of the plan's.
    requests_per_second integer CHECK (requests_per_second >= 1),
    burst integer CHECK (burst >= 1),
    quota_bytes bigint CHECK (quota_bytes >= 0),
    trial_ends_at timestamptz,
    revision bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);
CREATE INDEX tenants_by_revision ON tenants (revision);

CREATE TABLE members (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    -- In lower case.
    email text NOT NULL UNIQUE CHECK (email = lower(email)),
    -- Argon2id in PHC form; null: this member cannot log in with a password.
    password_hash text,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'billing', 'read_only')),
    created_at timestamptz NOT NULL
);
CREATE INDEX members_by_tenant ON members (tenant_id);

CREATE TABLE sessions (
    -- SHA-256 of the token.
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    member_id uuid NOT NULL REFERENCES members (id),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    address text,
    user_agent text
);
CREATE INDEX sessions_by_member ON sessions (member_id);

-- Attempts to log in that did not succeed (yet). Accounts that do not exist count the same.
CREATE TABLE login_failures (
    -- SHA-256 of the address that was typed.
    account bytea NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX login_failures_by_account ON login_failures (account, at);
CREATE INDEX login_failures_by_time ON login_failures (at);

CREATE TABLE access_keys (
    access_key_id text PRIMARY KEY CHECK (access_key_id ~ '^[A-Z0-9]{20}$'),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    -- Sealed; never leaves the control plane again.
    secret bytea NOT NULL,
    scope jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX access_keys_by_tenant ON access_keys (tenant_id);

CREATE TABLE buckets (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    -- `creating`: not told to nodes yet. `deleting`: told to nodes, which refuse writes.
    status text NOT NULL CHECK (status IN ('creating', 'active', 'deleting')),
    engine_id text NOT NULL REFERENCES engines (id),
    engine_bucket text NOT NULL,
    prefix text NOT NULL,
    created_at timestamptz NOT NULL,
    -- Who is creating or deleting it now; when the time is over, another may take it up.
    claim uuid,
    claimed_until timestamptz,
    UNIQUE (tenant_id, name),
    UNIQUE (engine_id, engine_bucket, prefix)
);

CREATE TABLE nodes (
    id uuid PRIMARY KEY,
    -- Ed25519.
    public_key bytea NOT NULL UNIQUE CHECK (length(public_key) = 32),
    s3_address text NOT NULL,
    version text NOT NULL DEFAULT '',
    boot_id text NOT NULL DEFAULT '',
    -- Acknowledged: applied, and on the node's disk.
    revision bigint NOT NULL DEFAULT 0,
    -- The UTC day for which the acknowledged snapshot's signing keys were derived.
    keys_day date,
    nacked_revision bigint,
    nack_reason text,
    -- The stream that speaks for the node now, and until when it does so unless it says more.
    stream uuid,
    connected_until timestamptz,
    last_seen timestamptz,
    created_at timestamptz NOT NULL
);

CREATE TABLE join_tokens (
    -- SHA-256 of the token.
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    -- Whose it became. A node that did not hear the answer may ask again.
    used_by uuid REFERENCES nodes (id)
);

CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    -- No reference: the log outlives what it is about. Null: it concerns the whole installation.
    tenant_id uuid,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    address text,
    user_agent text,
    request_id text,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id, id);
REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM CURRENT_USER;

-- Row-level security.
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['tenants', 'members', 'sessions', 'access_keys', 'buckets', 'audit_log'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO vaultaire_app USING (current_user = ''vaultaire_app'' AND %I = current_tenant())',
            table_name, CASE table_name WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END);
        EXECUTE format(
            'CREATE POLICY all_rows ON %I TO vaultaire_system USING (current_user = ''vaultaire_system'')',
            table_name);
    END LOOP;
END
$$;

-- Who may do what: a tenant's transaction, then the system's.
GRANT SELECT ON revision, plans TO vaultaire_app;
GRANT UPDATE (number) ON revision TO vaultaire_app;
GRANT SELECT (id, placement, pool_bucket) ON engines TO vaultaire_app;
GRANT SELECT, UPDATE (name, revision) ON tenants TO vaultaire_app;
GRANT SELECT (id, tenant_id, email, role, created_at) ON members TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON access_keys TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON buckets TO vaultaire_app;
GRANT SELECT, INSERT ON audit_log TO vaultaire_app;

GRANT SELECT, UPDATE ON revision TO vaultaire_system;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON settings, engines, plans, tenants, members, sessions, login_failures, access_keys, buckets, nodes, join_tokens
    TO vaultaire_system;
GRANT SELECT, INSERT ON audit_log TO vaultaire_system;
