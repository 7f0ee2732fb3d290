//! What may be set, in words.

/// Name and meaning of every setting. `settings.md` is made from this list.
pub const SETTINGS: &[(&str, &str)] = &[
    (
        "DATABASE_URL",
        "Postgres 15 or later; `up` starts one of its own without it",
    ),
    ("DATABASE_URL_FILE", "file that holds the database's URL"),
    (
        "VAULTAIRE_MASTER_KEY",
        "key that seals secrets in the database, as text; the file is better",
    ),
    (
        "VAULTAIRE_MASTER_KEY_FILE",
        "file that holds the master key, read again when it changes",
    ),
    ("VAULTAIRE_ADMIN_TOKEN", "token of the operator's commands"),
    (
        "VAULTAIRE_ADMIN_TOKEN_FILE",
        "file that holds the operator's token",
    ),
    (
        "VAULTAIRE_URL",
        "control plane that the operator's commands talk to",
    ),
    (
        "VAULTAIRE_PUBLIC_URL",
        "where browsers reach the dashboard [http://ADDR of --http]",
    ),
    (
        "VAULTAIRE_SMTP_URL",
        "server that sends mail, `smtps://user:password@host:465`, or `smtp://…` with STARTTLS; without it, mail lies in VAULTAIRE_MAIL_DIR",
    ),
    (
        "VAULTAIRE_SMTP_URL_FILE",
        "file that holds the URL of the server that sends mail",
    ),
    (
        "VAULTAIRE_MAIL_FROM",
        "sender of mail, such as `Acme Storage <no-reply@acme.example>`",
    ),
    (
        "VAULTAIRE_MAIL_DIR",
        "folder for mail that is not sent; `up` sets it to `mail` in the data directory [vaultaire-mail]",
    ),
    (
        "VAULTAIRE_TRUSTED_PROXIES",
        "networks, separated by commas, of the proxies before the dashboard, whose `X-Forwarded-For` is believed",
    ),
    (
        "STRIPE_SECRET_KEY",
        "key of the Stripe account through which customers pay, `sk_…` or `rk_…`; without it billing is by hand",
    ),
    (
        "STRIPE_SECRET_KEY_FILE",
        "file that holds the Stripe account's key",
    ),
    (
        "STRIPE_WEBHOOK_SECRET",
        "secret of the endpoint `/webhooks/stripe` in that account, `whsec_…`",
    ),
    (
        "STRIPE_WEBHOOK_SECRET_FILE",
        "file that holds the endpoint's secret",
    ),
    (
        "STRIPE_API_BASE",
        "where Stripe's API is [https://api.stripe.com]",
    ),
    (
        "VAULTAIRE_WEBHOOKS_TO_PRIVATE",
        "`true`: customers' webhooks may go to private addresses and over plain HTTP [false]",
    ),
    (
        "VAULTAIRE_S3_ENDPOINT",
        "where S3 clients reach the data planes [http://127.0.0.1:9000]",
    ),
    (
        "VAULTAIRE_REGION",
        "S3 region that clients sign for [us-east-1]",
    ),
    (
        "VAULTAIRE_ENGINE_ENDPOINT",
        "S3 engine underneath; `up` starts one of its own without it",
    ),
    ("VAULTAIRE_ENGINE_REGION", "the engine's region [us-east-1]"),
    ("VAULTAIRE_ENGINE_ACCESS_KEY_ID", "the engine's access key"),
    ("VAULTAIRE_ENGINE_SECRET_ACCESS_KEY", "the engine's secret"),
    (
        "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY_FILE",
        "file that holds the engine's secret",
    ),
    (
        "VAULTAIRE_ENGINE_PLACEMENT",
        "`dedicated`: one engine bucket for each bucket; `pooled`: all in one [dedicated]",
    ),
    (
        "VAULTAIRE_ENGINE_POOL_BUCKET",
        "the engine bucket of `pooled`",
    ),
    (
        "VAULTAIRE_CONTROL_URL",
        "control plane that a data plane follows; several, separated by commas, are tried in turn",
    ),
    (
        "VAULTAIRE_JOIN_TOKEN",
        "one-time token with which a new data plane joins",
    ),
    (
        "VAULTAIRE_JOIN_TOKEN_FILE",
        "file that holds the join token",
    ),
    (
        "VAULTAIRE_S3_ADDRESS",
        "where a data plane tells the control plane that it can be reached [--s3]",
    ),
    (
        "VAULTAIRE_S3_DOMAINS",
        "names, separated by commas, under which a host names a bucket: `photos.s3.example` [localhost]",
    ),
    (
        "VAULTAIRE_TLS_CERT_FILE",
        "PEM file of the S3 port's certificate and chain, read again when it changes; without it, plain HTTP",
    ),
    (
        "VAULTAIRE_TLS_KEY_FILE",
        "PEM file of that certificate's private key",
    ),
    (
        "VAULTAIRE_HEALTH_ADDRESS",
        "where a plane answers `/healthz`, `/readyz` and `/metrics`, such as `0.0.0.0:9001` in a pod; never reachable by the public [the next port of loopback]",
    ),
    (
        "VAULTAIRE_DRAIN_DELAY_SECONDS",
        "seconds for which a data plane goes on taking connections after SIGTERM, while `/readyz` answers 503: longer than the interval of whoever asks it [0]",
    ),
    (
        "VAULTAIRE_SHARE_HOLD_SECONDS",
        "seconds for which a data plane that hears no control plane keeps what exceeds its even share of tenants' limits [600]",
    ),
    (
        "VAULTAIRE_METRICS_TENANTS",
        "how many tenants, the busiest, a data plane has figures of by name in `/metrics`; the others are counted together [20]",
    ),
    (
        "VAULTAIRE_LOG",
        "what is logged, such as `debug` or `info,dataplane=debug` [info]",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "collector that is sent traces, by OTLP over HTTP, such as `http://127.0.0.1:4318`; without it nothing is traced",
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "the same as a whole URL, `/v1/traces` included; goes before it",
    ),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "headers that the collector wants, such as `authorization=Bearer%20…`",
    ),
    (
        "OTEL_SERVICE_NAME",
        "what traces call the service [vaultaire-controlplane, vaultaire-dataplane]",
    ),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "what else traces say of the process: `name=value`, separated by commas",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        "`always_on`, `always_off` or `traceidratio`, also with `parentbased_` before it, which changes nothing: what a client says of sampling does not count [parentbased_always_on]",
    ),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        "which part of requests `traceidratio` traces, from 0 to 1 [1]",
    ),
    ("OTEL_SDK_DISABLED", "`true`: nothing is traced [false]"),
    (
        "VAULTAIRE_TOOLS",
        "where `up` looks for `weed` and Postgres first",
    ),
    (
        "VAULTAIRE_POSTGRES_BIN",
        "folder of Postgres's programs, instead of looking for one",
    ),
    ("PATH", "where programs are looked for"),
];
