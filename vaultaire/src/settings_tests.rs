use std::os::unix::fs::PermissionsExt;

use super::test_environment as environment;
use super::*;

const NEEDED: [(&str, &str); 6] = [
    ("DATABASE_URL", "postgres://db/v"),
    ("VAULTAIRE_MASTER_KEY", "k"),
    ("VAULTAIRE_ADMIN_TOKEN", "t"),
    ("VAULTAIRE_ENGINE_ENDPOINT", "http://engine:8333/"),
    ("VAULTAIRE_ENGINE_ACCESS_KEY_ID", "id"),
    ("VAULTAIRE_ENGINE_SECRET_ACCESS_KEY", "secret"),
];

fn with(more: &[(&str, &str)]) -> anyhow::Result<Controlplane> {
    let pairs: Vec<(&str, &str)> = NEEDED.iter().chain(more).copied().collect();
    controlplane(
        &ControlplaneArguments {
            http: "127.0.0.1:8080".parse().unwrap(),
        },
        &environment(&pairs),
    )
}

fn refusal(more: &[(&str, &str)]) -> String {
    with(more).err().expect("refused").to_string()
}

/// A setting is announced by the change of this file: `UPDATE_SETTINGS=1 cargo test -p vaultaire` writes it anew.
#[test]
fn the_list_of_settings_is_the_committed_one() {
    let mut table = "# Settings by environment\n\nMade from `vaultaire/src/settings/names.rs`; a test holds the two together. \
                     What stands in [brackets] holds when nothing is set.\n\n| name | meaning |\n| --- | --- |\n"
        .to_owned();
    for (name, meaning) in SETTINGS {
        table.push_str(&format!("| `{name}` | {meaning} |\n"));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/settings.md");
    if std::env::var_os("UPDATE_SETTINGS").is_some() {
        std::fs::write(file, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(file).unwrap());
}

#[test]
fn a_control_plane_has_defaults_for_what_is_not_set() {
    let settings = with(&[]).unwrap();
    assert_eq!(settings.public_url, "http://127.0.0.1:8080");
    assert_eq!(settings.s3_endpoint, "http://127.0.0.1:9000");
    assert_eq!(settings.region, "us-east-1");
    assert_eq!(settings.health, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(settings.engine.endpoint, "http://engine:8333");
    assert!(settings.engine.placement == Placement::Dedicated);
    assert_eq!(
        with(&[("VAULTAIRE_REGION", "eu-west-1")]).unwrap().region,
        "eu-west-1"
    );
}

#[test]
fn what_is_needed_and_not_set_is_named() {
    for (name, _) in NEEDED {
        assert!(refusal(&[(name, " ")]).contains(name), "{name}");
    }
}

#[test]
fn a_pooled_engine_needs_its_bucket() {
    let pooled = ("VAULTAIRE_ENGINE_PLACEMENT", "pooled");
    assert!(refusal(&[pooled]).contains("VAULTAIRE_ENGINE_POOL_BUCKET is not set"));
    assert!(
        refusal(&[("VAULTAIRE_ENGINE_PLACEMENT", "spread")])
            .contains("it can be dedicated or pooled")
    );
    let settings = with(&[pooled, ("VAULTAIRE_ENGINE_POOL_BUCKET", "pool")]).unwrap();
    assert!(settings.engine.placement == Placement::Pooled);
    assert_eq!(settings.engine.pool_bucket.as_deref(), Some("pool"));
}

#[test]
fn mail_is_sent_over_a_server_or_lies_in_a_folder() {
    use controlplane::MailConfig;
    let folder = |more| match with(more).unwrap().mail {
        MailConfig::Folder(folder) => folder,
        MailConfig::Smtp { .. } => panic!("no server was named"),
    };
    assert_eq!(folder(&[]), PathBuf::from("vaultaire-mail"));
    let named = [("VAULTAIRE_MAIL_DIR", "/srv/mail")];
    assert_eq!(folder(&named), PathBuf::from("/srv/mail"));
    let server = ("VAULTAIRE_SMTP_URL", "smtps://u:p@mail.example:465");
    assert!(refusal(&[server]).contains("VAULTAIRE_MAIL_FROM"));
    let settings = with(&[server, ("VAULTAIRE_MAIL_FROM", "a@b.example")]).unwrap();
    assert!(matches!(settings.mail, MailConfig::Smtp { .. }));
}

#[test]
fn stripe_is_set_up_as_a_whole_or_not_at_all() {
    assert!(with(&[]).unwrap().stripe.is_none());
    let key = ("STRIPE_SECRET_KEY", "sk_test_1");
    let secret = ("STRIPE_WEBHOOK_SECRET", "whsec_1");
    assert!(refusal(&[key]).contains("together"));
    assert!(refusal(&[secret]).contains("together"));
    assert!(refusal(&[("STRIPE_SECRET_KEY", "pk_live_1"), secret]).contains("sk_ or rk_"));
    let found = with(&[key, secret]).unwrap().stripe.unwrap();
    assert_eq!(found.api_base, "https://api.stripe.com");
    let base = ("STRIPE_API_BASE", "http://127.0.0.1:12111/");
    let found = with(&[key, secret, base]).unwrap().stripe.unwrap();
    assert_eq!(found.api_base, "http://127.0.0.1:12111");
    let private = |value| with(&[("VAULTAIRE_WEBHOOKS_TO_PRIVATE", value)]);
    assert!(private("true").unwrap().webhooks_to_private);
    assert!(!private("").unwrap().webhooks_to_private);
    assert!(private("yes").is_err());
}

#[test]
fn proxies_that_are_trusted_are_networks_or_addresses() {
    let trusted = |list| with(&[("VAULTAIRE_TRUSTED_PROXIES", list)]);
    let found = trusted("10.0.0.0/8, ::1").unwrap().trusted_proxies;
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["10.0.0.0/8", "::1/128"]);
    let refused = trusted("proxy.example").err().expect("refused").to_string();
    assert!(refused.contains("VAULTAIRE_TRUSTED_PROXIES"), "{refused}");
}

#[test]
fn an_engine_written_to_an_environment_is_read_back() {
    let pairs = [
        ("VAULTAIRE_ENGINE_PLACEMENT", "pooled"),
        ("VAULTAIRE_ENGINE_POOL_BUCKET", "pool"),
    ];
    let first = with(&pairs).unwrap().engine;
    let written = first.to_environment();
    let pairs: Vec<(&str, &str)> = written
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert!(engine(&environment(&pairs)).unwrap() == Some(first));
    assert!(engine(&environment(&[])).unwrap().is_none());
}

#[test]
fn a_secret_comes_from_its_file_or_the_environment_but_not_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    crate::private_file::write(&file, b"from-a-file\n").unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let path = file.to_str().unwrap();
    let settings = with(&[
        ("VAULTAIRE_ADMIN_TOKEN", ""),
        ("VAULTAIRE_ADMIN_TOKEN_FILE", path),
    ])
    .unwrap();
    assert_eq!(settings.admin_token, "from-a-file");
    assert!(refusal(&[("VAULTAIRE_ADMIN_TOKEN_FILE", path)]).contains("set one"));
    crate::private_file::write(&file, b"\n").unwrap();
    let empty = refusal(&[
        ("VAULTAIRE_ADMIN_TOKEN", ""),
        ("VAULTAIRE_ADMIN_TOKEN_FILE", path),
    ]);
    assert!(empty.contains("is empty"), "{empty}");
}

/// Docker and Kubernetes mount secrets as files.
#[test]
fn every_secret_can_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let path = file.to_str().unwrap();
    let secrets = [
        ("DATABASE_URL", "postgres://db/v"),
        ("VAULTAIRE_MASTER_KEY", "k"),
        ("VAULTAIRE_ADMIN_TOKEN", "t"),
        ("VAULTAIRE_ENGINE_SECRET_ACCESS_KEY", "secret"),
        ("VAULTAIRE_SMTP_URL", "smtps://u:p@mail.example"),
        ("STRIPE_SECRET_KEY", "sk_test_1"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
    ];
    let others = [
        ("VAULTAIRE_MAIL_FROM", "a@b.example"),
        ("STRIPE_SECRET_KEY", "sk_test_1"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
    ];
    for (name, secret) in secrets {
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let as_file = format!("{name}_FILE");
        let alone: Vec<_> = others
            .into_iter()
            .chain([(name, ""), (as_file.as_str(), path)])
            .collect();
        let settings = with(&alone).unwrap_or_else(|error| panic!("{name}: {error}"));
        let stripe = settings.stripe.unwrap();
        let smtp = match settings.mail {
            controlplane::MailConfig::Smtp { url, .. } => url,
            controlplane::MailConfig::Folder(_) => String::new(),
        };
        let read = match name {
            "DATABASE_URL" => settings.database_url,
            "VAULTAIRE_MASTER_KEY" => settings.master_key,
            "VAULTAIRE_ADMIN_TOKEN" => settings.admin_token,
            "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY" => settings.engine.secret_access_key,
            "VAULTAIRE_SMTP_URL" => smtp,
            "STRIPE_SECRET_KEY" => stripe.secret_key,
            _ => stripe.webhook_secret,
        };
        assert_eq!(read, secret, "{name}");

        let both: Vec<_> = others
            .into_iter()
            .chain([(name, secret), (as_file.as_str(), path)])
            .collect();
        let refused = refusal(&both);
        assert!(
            refused.contains(&format!("Both {name} and {as_file}")),
            "{refused}"
        );

        std::fs::remove_file(&file).unwrap();
        let refused = with(&alone).err().expect("refused");
        assert!(format!("{refused:#}").contains(path), "{refused:#}");
    }
}

#[test]
fn health_listens_where_it_is_told_but_never_on_the_planes_own_port() {
    let health = |address| with(&[("VAULTAIRE_HEALTH_ADDRESS", address)]);
    let found = health("0.0.0.0:9100").unwrap().health;
    assert_eq!(found, "0.0.0.0:9100".parse().unwrap());
    assert_eq!(
        health("").unwrap().health,
        "127.0.0.1:8081".parse().unwrap()
    );
    for (address, why) in [("0.0.0.0:8080", "never public"), ("9100", "such as")] {
        let refused = refusal(&[("VAULTAIRE_HEALTH_ADDRESS", address)]);
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_misspelt_setting_is_found_and_the_right_one_named() {
    let set = environment(&[
        ("VAULTAIRE_SMPT_URL", "smtps://u:p@mail.example"),
        ("VAULTAIRE_REGION", "eu-west-1"),
        ("VAULTAIRE_SOMETHING_ELSE", "1"),
        ("OTHER", "1"),
    ]);
    let unknown = set.unknown();
    let unknown: Vec<_> = unknown.iter().map(|u| (u.name.as_str(), u.meant)).collect();
    assert_eq!(
        unknown,
        [
            ("VAULTAIRE_SMPT_URL", Some("VAULTAIRE_SMTP_URL")),
            ("VAULTAIRE_SOMETHING_ELSE", None),
        ]
    );
}

#[test]
fn an_address_without_a_scheme_is_refused() {
    assert!(
        refusal(&[("VAULTAIRE_PUBLIC_URL", "example.com")])
            .contains("must begin with http:// or https://")
    );
    assert_eq!(
        with(&[("VAULTAIRE_PUBLIC_URL", "https://example.com/")])
            .unwrap()
            .public_url,
        "https://example.com"
    );
}

#[test]
fn a_data_plane_needs_no_join_token_but_its_control_plane() {
    let arguments = DataplaneArguments {
        s3: "0.0.0.0:9000".parse().unwrap(),
        data_dir: PathBuf::from("node"),
    };
    let settings = dataplane(
        &arguments,
        &environment(&[("VAULTAIRE_CONTROL_URL", "http://127.0.0.1:8080")]),
    )
    .unwrap();
    assert_eq!(settings.join_token, None);
    assert_eq!(settings.s3_address, "0.0.0.0:9000");
    assert_eq!(
        settings.health,
        "127.0.0.1:9001".parse().unwrap(),
        "health is never public"
    );
    let refused = dataplane(&arguments, &environment(&[]))
        .err()
        .expect("refused")
        .to_string();
    assert!(
        refused.starts_with("VAULTAIRE_CONTROL_URL is not set"),
        "{refused}"
    );
}

#[test]
fn health_is_on_the_next_port_of_loopback() {
    let health = |address: &str| health_of(address.parse().unwrap()).map(|found| found.to_string());
    assert_eq!(health("127.0.0.2:8080").unwrap(), "127.0.0.2:8081");
    assert_eq!(health("[::]:8080").unwrap(), "[::1]:8081");
    assert_eq!(health("127.0.0.1:65534").unwrap(), "127.0.0.1:65535");
    assert!(
        health("127.0.0.1:65535")
            .unwrap_err()
            .to_string()
            .contains("no next port")
    );
    assert!(
        health("127.0.0.1:0")
            .unwrap_err()
            .to_string()
            .contains("has no port")
    );
}
