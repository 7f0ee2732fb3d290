-- What was answered, and what is stored. None of these tables refers to another: booking must not wait for changes of a
-- tenant, and what was billed outlives what it was for.

-- Each batch of each node, as it came: booked once, and kept so that every sum can be computed again.
CREATE TABLE usage_batches (
    node_id uuid NOT NULL,
    -- Of the process that wrote it.
    boot text NOT NULL CHECK (boot ~ '^[0-9a-f]{16}$'),
    sequence bigint NOT NULL,
    booked_at timestamptz NOT NULL,
    -- `wire::UsageLine`s.
    lines jsonb NOT NULL,
    PRIMARY KEY (node_id, boot, sequence)
);
CREATE INDEX usage_batches_by_time ON usage_batches (booked_at);

-- Sums by the hour in which requests were answered. The deltas of a bucket add up to what it holds.
CREATE TABLE usage_hours (
    tenant_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    -- Zero where a request concerns no bucket.
    bucket_id uuid NOT NULL,
    -- Empty for strangers.
    access_key_id text NOT NULL,
    -- `inventory`: what was put right after the bucket was looked at, or was deleted.
    class text NOT NULL CHECK (class IN ('a', 'b', 'free', 'inventory')),
    requests bigint NOT NULL,
    bytes_in bigint NOT NULL,
    bytes_out bigint NOT NULL,
    stored_delta bigint NOT NULL,
    objects_delta bigint NOT NULL,
    PRIMARY KEY (tenant_id, hour, bucket_id, access_key_id, class)
);

-- What each bucket holds. The four counters only grow: they say how much moved while an inventory was taken.
CREATE TABLE bucket_usage (
    tenant_id uuid NOT NULL,
    bucket_id uuid NOT NULL,
    stored_bytes bigint NOT NULL DEFAULT 0,
    objects bigint NOT NULL DEFAULT 0,
    added_bytes bigint NOT NULL DEFAULT 0,
    removed_bytes bigint NOT NULL DEFAULT 0,
    added_objects bigint NOT NULL DEFAULT 0,
    removed_objects bigint NOT NULL DEFAULT 0,
    inventory_at timestamptz,
    PRIMARY KEY (tenant_id, bucket_id)
);

-- All buckets together. Whoever changes anything of a tenant's usage locks this row first, tenants in the order of ids.
CREATE TABLE tenant_usage (
    tenant_id uuid PRIMARY KEY,
    stored_bytes bigint NOT NULL DEFAULT 0,
    objects bigint NOT NULL DEFAULT 0
);

-- Objects that were given back: two requests that found the same one give it back once.
CREATE TABLE usage_freed (
    tenant_id uuid NOT NULL,
    what bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, what)
);
CREATE INDEX usage_freed_by_time ON usage_freed (at);

-- Multipart uploads: what an upload holds follows from its row, in whatever order its parts and its end were told.
CREATE TABLE usage_uploads (
    tenant_id uuid NOT NULL,
    bucket_id uuid NOT NULL,
    upload bigint NOT NULL,
    part_bytes bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'completed', 'aborted')),
    -- Of the object; null: what its parts were.
    object_bytes bigint,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, bucket_id, upload)
);
CREATE INDEX usage_uploads_by_time ON usage_uploads (changed_at);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['usage_hours', 'bucket_usage', 'tenant_usage', 'usage_freed', 'usage_uploads'] LOOP
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

-- A tenant reads its own sums; only the system books.
GRANT SELECT ON usage_hours, bucket_usage, tenant_usage TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON usage_batches, usage_hours, bucket_usage, tenant_usage, usage_freed, usage_uploads TO vaultaire_system;
