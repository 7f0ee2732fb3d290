-- The dashboard signs requests to the data plane with access keys of its own: of a session (`console`), and of the links
-- to a bucket's objects that people hand on (`link`). They are never listed, nor counted in the plan's limit.
ALTER TABLE access_keys
    ADD COLUMN purpose text NOT NULL DEFAULT 'customer' CHECK (purpose IN ('customer', 'console', 'link')),
    -- Of a `console` key: it ends with the session, and when the member's role changes.
    ADD COLUMN member_id uuid,
    ADD COLUMN session_hash bytea,
    -- Of a customer's key: the one that it takes over from.
    ADD COLUMN replaces text,
    ADD CHECK (purpose = 'customer' OR expires_at IS NOT NULL),
    ADD CHECK (purpose <> 'console' OR (member_id IS NOT NULL AND session_hash IS NOT NULL));
CREATE INDEX access_keys_by_session ON access_keys (session_hash) WHERE session_hash IS NOT NULL;
GRANT UPDATE (expires_at) ON access_keys TO vaultaire_app;

-- Whatever ends a session ends its keys on every node, in the same transaction: log-out, a reset password, a member who
-- is taken off. In the order in which every change takes its locks: the tenant's row, then the revision.
CREATE FUNCTION end_console_keys(of_tenant uuid, of_member uuid, of_session bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    next bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM access_keys WHERE tenant_id = of_tenant AND purpose = 'console' AND revoked_at IS NULL
                   AND (session_hash = of_session OR member_id = of_member)) THEN
        RETURN;
    END IF;
    PERFORM FROM tenants WHERE id = of_tenant FOR NO KEY UPDATE;
    UPDATE access_keys SET revoked_at = now()
        WHERE tenant_id = of_tenant AND purpose = 'console' AND revoked_at IS NULL
          AND (session_hash = of_session OR member_id = of_member);
    UPDATE revision SET number = number + 1 RETURNING number INTO next;
    UPDATE tenants SET revision = next WHERE id = of_tenant;
    PERFORM pg_notify('vaultaire_revision', next::text);
END
$$;

CREATE FUNCTION session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_console_keys(OLD.tenant_id, NULL, OLD.token_hash);
    RETURN NULL;
END
$$;
CREATE TRIGGER session_ended AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION session_ended();

CREATE FUNCTION role_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_console_keys(NEW.tenant_id, NEW.id, NULL);
    RETURN NULL;
END
$$;
CREATE TRIGGER role_changed AFTER UPDATE OF role ON members FOR EACH ROW
    WHEN (OLD.role IS DISTINCT FROM NEW.role) EXECUTE FUNCTION role_changed();

-- Whose scripts nodes let use every bucket.
ALTER TABLE settings ADD COLUMN dashboard_origin text NOT NULL DEFAULT '';
