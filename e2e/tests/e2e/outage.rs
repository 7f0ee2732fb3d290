//! What goes on when the control plane and its database are gone.

use std::time::Instant;

use e2e::{Client, until};

use crate::house::{House, READY_WITHIN};

#[test]
fn objects_are_served_with_the_control_plane_and_the_database_gone() {
    let mut house = House::build(1);
    let controlplane = house.controlplane();
    let dataplane = house.dataplane(0, Some(&house.join_token()));
    let tenant = house.tenant(&house.s3(0));
    let second = house.ask(&["key", "create", "--tenant", &tenant.tenant_id]);
    let second = Client::new(house.folder.path(), &second, &house.s3(0));
    tenant.python("outage.py", &["before"]);
    assert_eq!(
        second.aws(&["s3", "cp", "s3://going-on/old", "-"]),
        "from before"
    );
    let receipt = house.ask(&["key", "revoke", &second.access_key_id]);
    assert_eq!(
        receipt["nodes"].as_array().map(Vec::len),
        Some(1),
        "{receipt}"
    );
    refused(&second);

    controlplane.kill();
    house.postgres.kill();
    println!("gone: {}", tenant.python("outage.py", &["during"]).trim());
    until("the node notices", READY_WITHIN, || {
        (house.node_health(0)["connected"] == false).then_some(())
    });
    refused(&second);

    dataplane.kill();
    let begun = Instant::now();
    let _dataplane = house.dataplane(0, None);
    println!(
        "the data plane serves again, alone, after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(house.node_health(0)["connected"], false);
    println!(
        "restarted: {}",
        tenant.python("outage.py", &["during"]).trim()
    );
    refused(&second);

    house.postgres.again();
    let _controlplane = house.controlplane();
    let begun = Instant::now();
    until("the node is connected again", READY_WITHIN, || {
        (house.node_health(0)["connected"] == true).then_some(())
    });
    println!(
        "connected again after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    tenant.python("outage.py", &["after"]);
    refused(&second);
    let created = house.ask(&[
        "tenant",
        "create",
        "--name",
        "N",
        "--email",
        "n@example.com",
    ]);
    let new = Client::new(house.folder.path(), &created, &house.s3(0));
    assert_eq!(new.aws(&["s3", "ls"]), "");
}

fn refused(key: &Client) {
    let said = key.aws_fails(&["s3", "ls"]);
    assert!(said.contains("InvalidAccessKeyId"), "{said}");
}
