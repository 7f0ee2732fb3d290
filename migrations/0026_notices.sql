-- What the operator tells customers on their dashboard.
CREATE TABLE notices (
    id uuid PRIMARY KEY,
    title text NOT NULL,
    body text NOT NULL,
    level text NOT NULL CHECK (level IN ('info', 'maintenance', 'incident')),
    -- Null: everybody.
    plan_id text REFERENCES plans (id),
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    -- How many the operator was told that it reaches.
    tenants bigint NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    -- Ended by hand before its time.
    ended_at timestamptz
);
CREATE INDEX notices_by_time ON notices (until_at);
-- It is everybody's, and says nothing of anybody.
GRANT SELECT (id, title, body, level, plan_id, from_at, until_at, ended_at) ON notices TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE ON notices TO vaultaire_system;

CREATE TABLE notice_dismissals (
    notice_id uuid NOT NULL REFERENCES notices (id),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    PRIMARY KEY (notice_id, member_id)
);
CREATE INDEX notice_dismissals_by_member ON notice_dismissals (member_id);
ALTER TABLE notice_dismissals ENABLE ROW LEVEL SECURITY;
ALTER TABLE notice_dismissals FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON notice_dismissals TO vaultaire_app
    USING (current_user = 'vaultaire_app' AND tenant_id = current_tenant());
CREATE POLICY all_rows ON notice_dismissals TO vaultaire_system USING (current_user = 'vaultaire_system');
GRANT SELECT, INSERT ON notice_dismissals TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON notice_dismissals TO vaultaire_system;
