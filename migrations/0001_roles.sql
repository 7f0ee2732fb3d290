-- The two roles that every transaction takes one of. They belong to the whole cluster, so another database's
-- migration may be making them at this very moment.
DO $$
DECLARE
    role_name text;
    membership text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['vaultaire_app', 'vaultaire_system'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        FOR attempt IN 1..50 LOOP
            EXIT WHEN pg_has_role(current_user, role_name, membership);
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
            EXCEPTION WHEN internal_error OR unique_violation THEN -- "tuple concurrently updated"
                PERFORM pg_sleep(0.05 * random());
            END;
        END LOOP;
    END LOOP;
END
$$;
