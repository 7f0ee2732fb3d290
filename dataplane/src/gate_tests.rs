use super::*;
use crate::tenants::tests::key;

fn scoped(scope: Scope) -> AccessKey {
    AccessKey {
        scope,
        ..key("K", &[])
    }
}

fn may(key: &AccessKey, method: &str, uri: &str) -> bool {
    let request = crate::request::tests::request(method, uri, &[]).unwrap();
    authorise(key, classify(&request).unwrap(), &request).is_ok()
}

#[test]
fn a_key_without_scope_may_everything() {
    let key = scoped(Scope::default());
    for (method, uri) in [
        ("GET", "/"),
        ("PUT", "/b"),
        ("PUT", "/b/k"),
        ("GET", "/b/k"),
        ("DELETE", "/b/k"),
    ] {
        assert!(may(&key, method, uri), "{method} {uri}");
    }
}

#[test]
fn permissions_hold() {
    let with = |permission| {
        scoped(Scope {
            permission,
            ..Scope::default()
        })
    };
    for (method, uri, read, write) in [
        ("GET", "/b/k", true, false),
        ("GET", "/b", true, false),
        ("PUT", "/b/k", false, true),
        ("DELETE", "/b/k", false, true),
        ("POST", "/b?delete", false, true),
        ("PUT", "/b", false, false),
        ("DELETE", "/b", false, false),
    ] {
        assert_eq!(
            may(&with(Permission::Read), method, uri),
            read,
            "read {method} {uri}"
        );
        assert_eq!(
            may(&with(Permission::Write), method, uri),
            write,
            "write {method} {uri}"
        );
        assert!(
            !may(&with(Permission::Unknown), method, uri),
            "unknown {method} {uri}"
        );
    }
}

#[test]
fn actions_narrow_a_permission() {
    let with = |permission, actions: &[Action]| {
        scoped(Scope {
            permission,
            actions: actions.to_vec(),
            ..Scope::default()
        })
    };
    let requests = [
        ("GET", "/b", Action::List),
        ("GET", "/b/k", Action::Read),
        ("PUT", "/b/k", Action::Write),
        ("DELETE", "/b/k", Action::Delete),
    ];
    for (method, uri, action) in requests {
        let others: Vec<Action> = requests
            .map(|r| r.2)
            .into_iter()
            .filter(|a| *a != action)
            .collect();
        assert!(
            may(&with(Permission::Full, &[action]), method, uri),
            "{action:?}"
        );
        assert!(
            !may(&with(Permission::Full, &others), method, uri),
            "{action:?}"
        );
        assert!(!may(
            &with(Permission::Full, &[Action::Unknown]),
            method,
            uri
        ));
    }
    assert!(!may(
        &with(Permission::Read, &[Action::Write]),
        "PUT",
        "/b/k"
    ));
    assert!(!may(&with(Permission::Full, &[Action::Write]), "PUT", "/b"));
    assert!(may(&with(Permission::Full, &[]), "PUT", "/b"));
}

#[test]
fn buckets_and_prefixes_hold() {
    let key = scoped(Scope {
        buckets: vec!["a".into()],
        prefixes: vec!["in/".into()],
        ..Scope::default()
    });
    for (uri, allowed) in [
        ("/a/in/x", true),
        ("/a/out/x", false),
        ("/b/in/x", false),
        ("/a?prefix=in/", true),
        ("/a?prefix=in/deeper", true),
        ("/a?prefix=i", false),
        ("/a", false),
        ("/a?versions&prefix=in/", true),
        ("/a?versions", false),
        ("/a?uploads", false),
        ("/a/in/x?tagging", true),
        ("/a/out/x?tagging", false),
        ("/a/out/x?versionId=null", false),
    ] {
        assert_eq!(may(&key, "GET", uri), allowed, "{uri}");
    }
    for target in ["/a", "/a?versioning", "/a?acl", "/a?cors"] {
        assert!(!may(&key, "PUT", target), "{target}");
    }
    assert!(authorise_copy_source(&key, "a", "in/x").is_ok());
    assert!(authorise_copy_source(&key, "a", "out/x").is_err());
    assert!(authorise_copy_source(&key, "b", "in/x").is_err());
}

#[test]
fn source_addresses_hold() {
    let from = |address: &str| {
        scoped(Scope {
            source_addresses: vec![address.parse().unwrap()],
            ..Scope::default()
        })
    };
    assert!(may(&from("127.0.0.1/32"), "GET", "/b/k"));
    assert!(may(&from("127.0.0.0/8"), "GET", "/b/k"));
    assert!(!may(&from("127.0.0.2/32"), "GET", "/b/k"));
    assert!(!may(&from("10.0.0.0/8"), "GET", "/b/k"));
}

#[test]
fn status_decides_by_effect() {
    use crate::tenants::tests::document;
    let tenant = |status| {
        let tenants = crate::tenants::Tenants::default();
        let mut doc = document(1, 1, vec![key("K", &[])]);
        doc.status = status;
        tenants
            .apply_snapshot(wire::Snapshot {
                revision: 1,
                settings: crate::tenants::tests::settings(1),
                tenants: vec![doc],
            })
            .unwrap();
        match tenants.lookup("K") {
            crate::tenants::Lookup::Found(tenant) => tenant,
            _ => panic!("the tenant is there"),
        }
    };
    for (status, read, delete, write) in [
        (TenantStatus::Active, true, true, true),
        (TenantStatus::ReadOnly, true, true, false),
        (TenantStatus::Suspended, false, false, false),
        (TenantStatus::Unknown, false, false, false),
    ] {
        let tenant = tenant(status);
        assert_eq!(
            check_tenant(&tenant, Operation::GetObject).is_ok(),
            read,
            "{status:?}"
        );
        assert_eq!(
            check_tenant(&tenant, Operation::DeleteObject).is_ok(),
            delete,
            "{status:?}"
        );
        assert_eq!(
            check_tenant(&tenant, Operation::PutObject).is_ok(),
            write,
            "{status:?}"
        );
        assert_eq!(
            check_tenant(&tenant, Operation::CreateBucket).is_ok(),
            write,
            "{status:?}"
        );
        for takes_away in [Operation::PutBucketAcl, Operation::DeleteBucketCors] {
            let passed = check_tenant(&tenant, takes_away).is_ok();
            assert_eq!(passed, delete, "{status:?} {takes_away:?}");
        }
        assert_eq!(may_give(&tenant).is_ok(), write, "{status:?}");
    }
}
