-- Limits on requests at once and on bytes a second; how limits are divided among nodes; what nodes refused.

ALTER TABLE plans
    ADD COLUMN concurrent_requests integer CHECK (concurrent_requests >= 1),
    ADD COLUMN bytes_per_second bigint CHECK (bytes_per_second >= 1);
ALTER TABLE tenants
    ADD COLUMN concurrent_requests integer CHECK (concurrent_requests >= 1),
    ADD COLUMN bytes_per_second bigint CHECK (bytes_per_second >= 1);

-- Numbers what nodes are told of shares.
CREATE SEQUENCE allotment_number;
GRANT USAGE ON SEQUENCE allotment_number TO vaultaire_system;

-- Parts per billion of every tenant's limits: what the node was told, and what it may hold.
ALTER TABLE nodes
    ADD COLUMN floor integer NOT NULL DEFAULT 0 CHECK (floor BETWEEN 0 AND 1000000000),
    ADD COLUMN floor_held integer NOT NULL DEFAULT 0 CHECK (floor_held BETWEEN 0 AND 1000000000),
    ADD COLUMN floor_number bigint NOT NULL DEFAULT 0,
    ADD COLUMN floor_acked bigint NOT NULL DEFAULT 0;

-- Shares of tenants that are divided by demand; a tenant without rows is divided by floors. For each figure what the
-- node was told and what it may hold, in parts per billion.
CREATE TABLE allotments (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    node_id uuid NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    number bigint NOT NULL,
    acked bigint NOT NULL DEFAULT 0,
    told_at timestamptz NOT NULL,
    busy_at timestamptz NOT NULL,
    -- Told to fall back to its floor.
    released boolean NOT NULL,
    requests integer NOT NULL,
    requests_held integer NOT NULL,
    concurrency integer NOT NULL,
    concurrency_held integer NOT NULL,
    bandwidth integer NOT NULL,
    bandwidth_held integer NOT NULL,
    PRIMARY KEY (tenant_id, node_id)
);
CREATE INDEX allotments_by_node ON allotments (node_id, number);

-- What clients ask of nodes now. Lost at a crash, and said again a second later.
CREATE UNLOGGED TABLE demands (
    tenant_id uuid NOT NULL,
    node_id uuid NOT NULL,
    requests bigint NOT NULL,
    concurrency bigint NOT NULL,
    bandwidth bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, node_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON allotments, demands TO vaultaire_system;

CREATE TABLE refusals (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    request_id text NOT NULL,
    at timestamptz NOT NULL,
    node_id uuid NOT NULL,
    operation text NOT NULL,
    bucket text NOT NULL,
    access_key_id text NOT NULL,
    status smallint NOT NULL,
    code text NOT NULL,
    rule text NOT NULL,
    counter bigint,
    limited_to bigint,
    revision bigint NOT NULL,
    clears_at timestamptz,
    more bigint NOT NULL,
    PRIMARY KEY (tenant_id, request_id)
);
CREATE INDEX refusals_by_request ON refusals (request_id);
CREATE INDEX refusals_by_tenant ON refusals (tenant_id, at DESC);
CREATE INDEX refusals_by_time ON refusals (at);
ALTER TABLE refusals ENABLE ROW LEVEL SECURITY;
ALTER TABLE refusals FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON refusals TO vaultaire_app
    USING (current_user = 'vaultaire_app' AND tenant_id = current_tenant());
CREATE POLICY all_rows ON refusals TO vaultaire_system USING (current_user = 'vaultaire_system');
GRANT SELECT ON refusals TO vaultaire_app;
GRANT SELECT, INSERT, DELETE ON refusals TO vaultaire_system;
