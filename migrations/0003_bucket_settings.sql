-- What a customer may set on a bucket.
ALTER TABLE buckets
    ADD COLUMN public_read boolean NOT NULL DEFAULT false,
    -- An array of rules, as `wire::CorsRule` has them.
    ADD COLUMN cors jsonb NOT NULL DEFAULT '[]',
    -- The engine's bucket was made, or is to be made, with S3 Object Lock.
    ADD COLUMN object_lock boolean NOT NULL DEFAULT false;

-- A request without a signature names only the bucket, so that at most one public bucket of a name may exist over all
-- tenants. A row in state `creating` reserves its name.
CREATE UNIQUE INDEX buckets_by_public_name ON buckets (name) WHERE public_read;

-- A bucket is made and deleted by what its engine can do.
GRANT SELECT (capabilities) ON engines TO vaultaire_app;
