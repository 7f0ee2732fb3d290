-- API tokens of members, and the answers that requests with an Idempotency-Key get again.

CREATE TABLE api_tokens (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    -- A token ends with its member.
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    name text NOT NULL,
    -- SHA-256 of the token, which is shown once.
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- Its last four characters, by which people tell tokens apart.
    ending text NOT NULL CHECK (length(ending) = 4),
    scopes text[] NOT NULL,
    -- The token that made this one; it is revoked with that one.
    made_by uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_tokens_by_tenant ON api_tokens (tenant_id);
CREATE INDEX api_tokens_by_member ON api_tokens (member_id);

CREATE TABLE idempotent_requests (
    token_id uuid NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    -- SHA-256 of the key that the client chose.
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    -- SHA-256 of method, path and body.
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    created_at timestamptz NOT NULL,
    -- Both none while the request is under way, and when it broke off.
    status smallint,
    -- Sealed: an answer may bear a secret.
    answer bytea,
    CHECK ((status IS NULL) = (answer IS NULL)),
    PRIMARY KEY (token_id, key_hash)
);
CREATE INDEX idempotent_requests_by_time ON idempotent_requests (created_at);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['api_tokens', 'idempotent_requests'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO vaultaire_app USING (current_user = ''vaultaire_app'' AND tenant_id = current_tenant())',
            table_name);
        EXECUTE format(
            'CREATE POLICY all_rows ON %I TO vaultaire_system USING (current_user = ''vaultaire_system'')',
            table_name);
    END LOOP;
END
$$;

GRANT SELECT (id, tenant_id, member_id, name, ending, scopes, made_by, created_at, expires_at, last_used_at, revoked_at),
      INSERT, UPDATE (revoked_at), DELETE
    ON api_tokens TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE (status, answer), DELETE ON idempotent_requests TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_tokens, idempotent_requests TO vaultaire_system;

-- What a token opened in the storage (0012) ends with it, in the same transaction.
CREATE FUNCTION api_token_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_console_keys(OLD.tenant_id, NULL, OLD.token_hash);
    RETURN NULL;
END
$$;
CREATE TRIGGER api_token_deleted AFTER DELETE ON api_tokens FOR EACH ROW EXECUTE FUNCTION api_token_ended();
CREATE TRIGGER api_token_revoked AFTER UPDATE OF revoked_at ON api_tokens FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION api_token_ended();
