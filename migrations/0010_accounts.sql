-- Mail, sign-ups that wait for their confirmation, resets, changes of address, and sessions that can be named.

-- The outbox: a row is added in the transaction that causes the mail, and is gone when the mail is on its way.
CREATE TABLE mails (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    recipient text NOT NULL,
    -- Sealed: subject, both bodies and the link, which is a secret until it is used.
    content bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    -- Nobody needs it later.
    give_up_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX mails_by_time ON mails (next_attempt_at);

-- No tenant's yet. Registered addresses have rows too, so that both cases do the same work; theirs lead nowhere.
CREATE TABLE sign_ups (
    email text PRIMARY KEY CHECK (email = lower(email)),
    company text NOT NULL,
    password_hash text NOT NULL,
    -- SHA-256 of the link's token.
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- SHA-256 of what the browser that signed up holds in a cookie.
    browser_hash bytea NOT NULL CHECK (length(browser_hash) = 32),
    expires_at timestamptz NOT NULL
);

CREATE TABLE password_resets (
    -- One at a time.
    member_id uuid PRIMARY KEY REFERENCES members (id) ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    expires_at timestamptz NOT NULL
);

CREATE TABLE email_changes (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    old_email text NOT NULL,
    new_email text NOT NULL,
    -- Of the link to the new address, until it is used.
    confirm_hash bytea UNIQUE CHECK (length(confirm_hash) = 32),
    -- Of the link to the old address, from then on.
    undo_hash bytea UNIQUE CHECK (length(undo_hash) = 32),
    -- Of whichever link is there.
    expires_at timestamptz NOT NULL,
    confirmed boolean NOT NULL GENERATED ALWAYS AS (undo_hash IS NOT NULL) STORED,
    CHECK ((confirm_hash IS NULL) <> (undo_hash IS NULL))
);
CREATE INDEX email_changes_by_member ON email_changes (member_id);
CREATE INDEX email_changes_by_old_email ON email_changes (old_email) WHERE undo_hash IS NOT NULL;

ALTER TABLE sessions
    ADD COLUMN id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    DROP CONSTRAINT sessions_member_id_fkey,
    ADD FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE;

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['password_resets', 'email_changes'] LOOP
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

-- A tenant's transaction may cause mail, and read none.
GRANT INSERT ON mails TO vaultaire_app;
GRANT SELECT (id, tenant_id, member_id, created_at, last_used_at, expires_at, address, user_agent), DELETE
    ON sessions TO vaultaire_app;
GRANT SELECT (id, tenant_id, member_id, old_email, new_email, expires_at, confirmed) ON email_changes TO vaultaire_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON mails, sign_ups, password_resets, email_changes TO vaultaire_system;
