-- A row in each table that two tenants leave empty, and characters that mean something to COPY.
INSERT INTO operators (id, email, created_at) VALUES (gen_random_uuid(), 'op@example.com', now());
INSERT INTO operator_challenges (token_hash, operator_id, expires_at) SELECT sha256('a'), id, now() FROM operators;
INSERT INTO operator_recovery_codes SELECT sha256('b'), id FROM operators;
INSERT INTO operator_sessions (id, token_hash, operator_id, created_at, last_used_at, expires_at)
    SELECT gen_random_uuid(), sha256('c'), id, now(), now(), now() FROM operators;
INSERT INTO operator_audit (at, actor, action, target) VALUES (now(), 'a', 'b', 'c');
INSERT INTO tenant_notes (tenant_id, at, author, text) SELECT id, now(), 'a', 'b' FROM tenants;
INSERT INTO impersonations (id, operator_session_id, operator_id, tenant_id, reason, began_at, expires_at)
    SELECT gen_random_uuid(), gen_random_uuid(), o.id, t.id, 'x', now(), now() FROM operators o, tenants t;
INSERT INTO customer_webhooks (id, tenant_id, body, created_at, next_attempt_at)
    SELECT gen_random_uuid(), id, '{}', now(), now() FROM tenants;
INSERT INTO drift_reports (at, actor, report) VALUES (now(), 'a', '{"n": 1.50}');
INSERT INTO egress_months SELECT id, 202603, 5 FROM tenants;
INSERT INTO engine_health (engine_id, checked_at, reachable, since) SELECT id, now(), true, now() FROM engines
    ON CONFLICT DO NOTHING;
INSERT INTO log_in_challenges (token_hash, tenant_id, member_id, expires_at)
    SELECT sha256(id::text::bytea), tenant_id, id, now() FROM members;
INSERT INTO login_failures VALUES (sha256('x'), now());
INSERT INTO mails (id, kind, recipient, content, next_attempt_at, give_up_at, created_at)
    VALUES (gen_random_uuid(), 'a', 'b', '\x00ff5c0a', now(), now(), now());
INSERT INTO metered (tenant_id, kind, period_from, quantity) SELECT id, 'storage', now(), 1 FROM tenants;
INSERT INTO meter_events (identifier, tenant_id, live, customer_id, kind, quantity, at, created_at, next_attempt_at)
    SELECT id::text, id, false, 'c', 'storage', 1, now(), now(), now() FROM tenants;
INSERT INTO passkey_ceremonies (binding, name, state, expires_at) VALUES (sha256('d'), 'a', '', now());
INSERT INTO password_resets (member_id, tenant_id, token_hash, expires_at)
    SELECT id, tenant_id, sha256(id::text::bytea), now() FROM members;
INSERT INTO refusals (tenant_id, request_id, at, node_id, operation, bucket, access_key_id, status, code, rule, revision, more)
    SELECT id, id::text, now(), id, 'a', '', '', 403, 'b', 'c', 1, 0 FROM tenants;
INSERT INTO sign_ups (email, company, password_hash, token_hash, browser_hash, expires_at)
    VALUES ('new@example.com', '', '', sha256('e'), sha256('f'), now()) ON CONFLICT DO NOTHING;
INSERT INTO spending (tenant_id) SELECT id FROM tenants;
INSERT INTO stripe_compared (at) VALUES (now());
INSERT INTO stripe_events (event_id, kind, state, created_at, received_at, attempts)
    VALUES ('evt', 'a', 'done', now(), now(), 1);
INSERT INTO stripe_prices (price_id, live, plan_id, version, kind, product_id)
    SELECT 'price', false, id, version, 'base', 'prod' FROM terms LIMIT 1;
INSERT INTO usage_batches (node_id, boot, sequence, booked_at, lines)
    VALUES (gen_random_uuid(), '0123456789abcdef', 1, now(), '[]');
INSERT INTO usage_freed (tenant_id, what, at) SELECT id, 1, now() FROM tenants;
INSERT INTO usage_uploads (tenant_id, bucket_id, upload, part_bytes, state, changed_at)
    SELECT id, id, 1, 1, 'open', now() FROM tenants;
INSERT INTO revenue_steps (tenant_id, at, plan_id, version, currency, mrr_cents)
    SELECT id, now(), plan_id, terms_version, 'usd', 1 FROM tenants;
INSERT INTO notices (id, title, body, level, from_at, until_at, tenants, created_at, created_by)
    VALUES (gen_random_uuid(), 'a', 'b', 'info', now(), now() + interval '1 hour', 1, now(), 'c');
INSERT INTO notice_dismissals SELECT n.id, m.tenant_id, m.id, now() FROM notices n, members m ON CONFLICT DO NOTHING;
INSERT INTO control_planes (id, version, started_at, running_until, master_keys, seals_under)
    VALUES (gen_random_uuid(), 'a', now(), now(), '{"1": "a"}', 1) ON CONFLICT DO NOTHING;
UPDATE tenants SET name = E'a\tb\n\\.\nSHA256 x\r\\N \\ \u00e9' || id;
